;; Loops before anybody has called it.
(func $spin (loop $for_ever (br $for_ever)))
(start $spin)
