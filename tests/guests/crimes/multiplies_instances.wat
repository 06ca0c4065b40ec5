;; Has each component make the former one twice: 4,096 instances in less than 1 KB.
;;; imports
(component $once (core module $one) (core instance (instantiate $one)))
[12 (component (alias outer 1 # (component $former)) (instance (instantiate $former)) (instance (instantiate $former)))]
(instance (instantiate 12))
