;; Is nearly a check: there is no poll.
(component
  (instance $lifecycle)
  (export "aviary:check/lifecycle@0.1.0" (instance $lifecycle)))
