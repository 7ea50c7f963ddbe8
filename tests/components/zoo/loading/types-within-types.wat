;; attacks: the decoder's stack: the type of an instance that has the type of an instance
;; expect: refused compile "overflowed its stack"
;; generate: nested-types 200000
