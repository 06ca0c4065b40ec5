;; Imports nothing from 900 interfaces.
;;; imports
[900 (import "x:y/z#" (instance))]
