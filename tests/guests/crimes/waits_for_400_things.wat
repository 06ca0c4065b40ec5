;; Waits for 400 things, none of which ever happens.
;;; imports
(import "wasi:io/poll@0.2.0" (instance $io
  (export "pollable" (type $pollable (sub resource)))
  (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
  (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
(alias export $io "pollable" (type $pollable))
(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
  (alias outer 1 $pollable (type $outer))
  (export "pollable" (type $pollable (eq $outer)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
(core func $block (canon lower (func $io "[method]pollable.block")))
(core func $poll_all (canon lower (func $io "poll") (memory $memory) (realloc $realloc)))
(core func $subscribe (canon lower (func $clock "subscribe-duration")))
(core func $drop (canon resource.drop $pollable))
(core instance $host
  (export "block" (func $block)) (export "poll" (func $poll_all))
  (export "subscribe" (func $subscribe)) (export "drop" (func $drop)))
;;; core
(import "host" "subscribe" (func $subscribe (param i64) (result i32)))
(import "host" "poll" (func $poll_all (param i32 i32 i32)))
(func (export "poll") (result i32) (local $i i32)
  (loop $more
    (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4))) (call $subscribe (i64.const -1)))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $more (i32.lt_u (local.get $i) (i32.const 400))))
  (call $poll_all (i32.const 1024) (i32.const 400) (i32.const 128))
  (i32.const 64))
