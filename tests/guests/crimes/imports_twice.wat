;; Imports the same interface twice.
;;; imports
(import "aviary:check/tls@0.1.0" (instance))
(import "aviary:check/tls@0.1.0" (instance))
