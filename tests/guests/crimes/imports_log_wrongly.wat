;; Imports the log's function with another signature.
;;; imports
(import "aviary:check/log@0.1.0" (instance (export "write" (func (param "line" u64)))))
