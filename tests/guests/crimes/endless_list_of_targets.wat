;; Answers with a list of 4,294,967,295 targets.
(data (i32.const 80) "\80\00\00\00\ff\ff\ff\ff")
