;; attacks: the compiler's memory: one function of a hundred and fifty thousand steps
;; expect: refused compile "[engine] compile_memory"
;; generate: instructions 150000
