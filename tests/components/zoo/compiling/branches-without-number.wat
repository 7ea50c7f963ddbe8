;; attacks: the compiler's memory: a thousand tables of a thousand branches
;; expect: refused compile "[engine] compile_memory"
;; generate: branches 1000
