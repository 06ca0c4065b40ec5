;; Exports what makes a check twice, and nothing the first time.
;;; lifts
(instance $empty)
(export "aviary:check/lifecycle@0.1.0" (instance $empty))
