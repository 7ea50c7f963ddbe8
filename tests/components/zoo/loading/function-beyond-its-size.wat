;; attacks: the compiler: a function of more bytes than one may have
;; expect: refused inspect "size"
;; generate: constants 410000
