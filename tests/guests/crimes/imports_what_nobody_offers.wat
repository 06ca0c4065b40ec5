;; Imports an interface that this daemon does not have, under a name of 10 KB.
;;; imports
(import "x:y/[10000 a]" (instance (export "f" (func))))
