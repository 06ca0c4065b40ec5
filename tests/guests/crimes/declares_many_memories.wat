;; Has 21 memories: 84 GiB of address space.
;;; imports
(core module $more (memory 1))
[20 (core instance (instantiate $more))]
