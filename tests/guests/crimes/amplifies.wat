;; Answers with 1,000 targets of 1,000 labels of 20 KB each, all in the same 20 KB: 20 GB for the host.
(data (i32.const 80) "\00\00\01\00\e8\03\00\00")
(func (export "poll") (result i32) (local $i i32)
  (drop (memory.grow (i32.const 4)))
  ;; Targets at 64 KiB, 28 bytes each: status, name, message, labels.
  (local.set $i (i32.const 0))
  (loop $target
    (i32.store (i32.add (i32.const 65556) (i32.mul (local.get $i) (i32.const 28))) (i32.const 131072))
    (i32.store (i32.add (i32.const 65560) (i32.mul (local.get $i) (i32.const 28))) (i32.const 1000))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $target (i32.lt_u (local.get $i) (i32.const 1000))))
  ;; Labels at 128 KiB, 16 bytes each: key, value, which is at 192 KiB.
  (local.set $i (i32.const 0))
  (loop $label
    (i32.store (i32.add (i32.const 131080) (i32.mul (local.get $i) (i32.const 16))) (i32.const 196608))
    (i32.store (i32.add (i32.const 131084) (i32.mul (local.get $i) (i32.const 16))) (i32.const 20000))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $label (i32.lt_u (local.get $i) (i32.const 1000))))
  (i32.const 64))
