;; Calls itself without an end when it is asked for room for its settings.
;;; room
(func (export "realloc") (param i32 i32 i32 i32) (result i32)
  (i32.add (i32.const 1) (call 0 (local.get 0) (local.get 1) (local.get 2) (local.get 3))))
