;; Stops when it should clean up.
(func (export "cleanup") (result i32) unreachable)
