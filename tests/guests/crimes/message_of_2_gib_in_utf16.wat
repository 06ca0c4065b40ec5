;; Answers in Latin-1 or UTF-16, with a mark and a length that overflow when they are doubled.
(data (i32.const 72) "\80\00\00\00\ff\ff\ff\ff")
;;; lifts
(func $poll (result (result $outcome (error string)))
  (canon lift (core func $crime "poll") (memory $memory) string-encoding=latin1+utf16))
