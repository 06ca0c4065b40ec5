;; Imports Kubernetes without a grant.
;;; imports
(import "aviary:check/kubernetes@0.1.0" (instance))
