;; Waits in a shared memory, where nothing can interrupt it.
(memory $shared 1 1 shared)
(func (export "poll") (result i32)
  (memory.atomic.wait32 $shared (i32.const 0) (i32.const 0) (i64.const -1)))
