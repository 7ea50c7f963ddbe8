;; attacks: the memory of the host: a memory that begins as large as there can be
;; expect: refused compile "memory"
;; in store
(memory (export "memory") 65536)
