;; Answers a poll with a number.
(component
  (core module $crime (func (export "f") (result i32) (i32.const 0)))
  (core instance $crime (instantiate $crime))
  (func $f (result u32) (canon lift (core func $crime "f")))
  (instance $lifecycle (export "init" (func $f)) (export "poll" (func $f)) (export "cleanup" (func $f)))
  (export "aviary:check/lifecycle@0.1.0" (instance $lifecycle)))
