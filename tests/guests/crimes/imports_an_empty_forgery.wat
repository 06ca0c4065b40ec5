;; Imports nothing at all, under a URL that holds a line break and a colour: whoever offers nothing offers that.
;;; imports
(import "url=<https://x.test/\0aERROR \1b[31mforged>" (instance))
