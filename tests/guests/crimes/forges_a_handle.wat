;; Uses a handle that it made up.
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
(import "host" "block" (func $block (param i32)))
(func (export "poll") (result i32) (call $block (i32.const 77)) (i32.const 64))
