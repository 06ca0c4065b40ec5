;; Prints 2^40 zeroes in one call.
;;; imports
(import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
(alias export $errors "error" (type $error))
(import "wasi:io/streams@0.2.0" (instance $streams
  (alias outer 1 $error (type $error'))
  (export "error" (type $error (eq $error')))
  (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
  (export "stream-error" (type $stream-error (eq $stream-error')))
  (export "output-stream" (type $output (sub resource)))
  (export "[method]output-stream.blocking-write-and-flush"
    (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))
  (export "[method]output-stream.write-zeroes"
    (func (param "self" (borrow $output)) (param "len" u64) (result (result (error $stream-error)))))))
(alias export $streams "output-stream" (type $output))
(import "wasi:cli/stderr@0.2.0" (instance $stderr
  (alias outer 1 $output (type $output'))
  (export "output-stream" (type $output (eq $output')))
  (export "get-stderr" (func (result (own $output))))))
(core func $stderr (canon lower (func $stderr "get-stderr")))
(core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
(core func $zeroes (canon lower (func $streams "[method]output-stream.write-zeroes") (memory $memory)))
(core instance $host
  (export "stderr" (func $stderr)) (export "write" (func $write)) (export "zeroes" (func $zeroes)))
;;; core
(import "host" "stderr" (func $stderr (result i32)))
(import "host" "zeroes" (func $zeroes (param i32 i64 i32)))
(func (export "poll") (result i32)
  (call $zeroes (call $stderr) (i64.const 1099511627776) (i32.const 8000))
  (i32.const 64))
