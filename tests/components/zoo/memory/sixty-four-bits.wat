;; attacks: the addresses of the host: a memory beyond 32 bits
;; expect: refused compile "memory"
(memory i64 281474976710656)
