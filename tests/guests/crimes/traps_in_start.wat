;; Stops before anybody has called it.
(func $trap unreachable)
(start $trap)
