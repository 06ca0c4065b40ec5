;; Opens the host's sockets without a grant, and keeps them; stops with the first that it is given.
;;; imports
(import "wasi:sockets/network@0.2.0" (instance $network
  (type $code (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
    "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
    "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
    "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
  (export "error-code" (type (eq $code)))
  (type $family (enum "ipv4" "ipv6"))
  (export "ip-address-family" (type (eq $family)))))
(alias export $network "error-code" (type $code))
(alias export $network "ip-address-family" (type $family))
(import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
(alias export $tcp "tcp-socket" (type $socket))
(import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
  (alias outer 1 $code (type $code'))
  (export "error-code" (type $code (eq $code')))
  (alias outer 1 $family (type $family'))
  (export "ip-address-family" (type $family (eq $family')))
  (alias outer 1 $socket (type $socket'))
  (export "tcp-socket" (type $socket (eq $socket')))
  (export "create-tcp-socket"
    (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))
(core func $open (canon lower (func $create "create-tcp-socket") (memory $memory)))
(core instance $host (export "open" (func $open)))
;;; core
(import "host" "open" (func $open (param i32 i32)))
(func (export "poll") (result i32)
  (call $open (i32.const 0) (i32.const 128))
  (if (i32.eqz (i32.load8_u (i32.const 128))) (then unreachable))
  (i32.const 64))
