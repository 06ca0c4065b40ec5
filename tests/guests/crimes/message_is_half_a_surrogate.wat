;; Answers in UTF-16 with one half of a character.
(data (i32.const 72) "\80\00\00\00\02\00\00\00")
(data (i32.const 128) "\00\d8a\00")
;;; lifts
(func $poll (result (result $outcome (error string)))
  (canon lift (core func $crime "poll") (memory $memory) string-encoding=utf16))
