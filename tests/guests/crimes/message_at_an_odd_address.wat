;; Answers in UTF-16 at an address where no UTF-16 can be.
(data (i32.const 72) "\81\00\00\00\02\00\00\00")
;;; lifts
(func $poll (result (result $outcome (error string)))
  (canon lift (core func $crime "poll") (memory $memory) string-encoding=latin1+utf16))
