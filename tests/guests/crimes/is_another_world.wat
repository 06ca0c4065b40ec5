;; Is a command and not a check.
(component
  (core module $crime (func (export "run") (result i32) (i32.const 0)))
  (core instance $crime (instantiate $crime))
  (func $run (result (result)) (canon lift (core func $crime "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
