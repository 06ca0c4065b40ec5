;; Has 100 tables.
[100 (table 1 funcref)]
