;; attacks: the memory of the host: a table of ten million elements
;; expect: refused compile "table"
(table 10000000 funcref)
