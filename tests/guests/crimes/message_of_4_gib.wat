;; Answers with a message of 4 GiB less one byte.
(data (i32.const 72) "\80\00\00\00\ff\ff\ff\ff")
