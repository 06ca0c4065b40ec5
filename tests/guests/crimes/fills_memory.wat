;; Fills its whole memory again and again: one instruction for megabytes.
(func (export "poll") (result i32)
  (drop (memory.grow (i32.const 1000)))
  (loop $for_ever
    (memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536)))
    (br $for_ever))
  (unreachable))
