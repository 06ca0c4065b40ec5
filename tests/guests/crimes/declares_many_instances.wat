;; Is made of 2,000 instances, by components in components.
;;; imports
(core module $one)
(component $ten
  (alias outer 1 $one (core module $one))
  [10 (core instance (instantiate $one))])
(component $hundred
  (alias outer 1 $ten (component $ten))
  [10 (instance (instantiate $ten))])
[20 (instance (instantiate $hundred))]
