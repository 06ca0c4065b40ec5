;; Answers with a message that is not UTF-8.
(data (i32.const 72) "\80\00\00\00\04\00\00\00")
(data (i32.const 128) "a\ff\feb")
