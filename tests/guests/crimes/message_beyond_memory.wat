;; Answers with a message that begins behind the end of its memory.
(data (i32.const 72) "\f0\ff\ff\ff\10\00\00\00")
