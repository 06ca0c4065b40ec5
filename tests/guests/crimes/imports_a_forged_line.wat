;; Imports by a URL that holds a line break and a colour.
;;; imports
(import "url=<https://x.test/\0aERROR \1b[31mforged>" (instance (export "f" (func))))
