;; Lifts its poll as an asynchronous function that never answers.
(func (export "poll async") (result i32) (i32.const 1))
(func (export "callback") (param i32 i32 i32) (result i32) (i32.const 1))
;;; lifts
(func $poll async (result (result $outcome (error string)))
  (canon lift (core func $crime "poll async") async (memory $memory) (callback (core func $crime "callback"))))
