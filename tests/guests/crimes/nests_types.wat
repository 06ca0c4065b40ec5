;; Has a type of lists in lists, 2,000 deep.
;;; imports
(component
  (type (list u8))
  [2000 (type (list #))])
