;; Wants 4 GiB of memory from the start.
;;; room
(memory (export "memory") 65536)
