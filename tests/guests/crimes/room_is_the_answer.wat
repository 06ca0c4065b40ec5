;; Offers the room for its settings where its answer stands, which becomes `result 123`.
;;; room
(func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32))
