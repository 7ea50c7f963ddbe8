;; attacks: the compiler's memory: two hundred tables of a thousand branches
;; expect: refused compile "[engine] compile_memory"
;; generate: branches 200
