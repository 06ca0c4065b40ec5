;; Answers neither with a result nor with an error.
(data (i32.const 64) "\02")
