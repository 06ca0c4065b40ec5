;; Answers with a message that reads backwards, begins a new line and hides its end.
(data (i32.const 72) "\80\00\00\00\17\00\00\00")
(data (i32.const 128) "a\e2\80\aedrawkcab\e2\80\a8line\e2\81\a6z")
