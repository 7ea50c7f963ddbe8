;; attacks: the decoder's arithmetic: a number whose last byte never comes
;; expect: refused inspect "not a valid component"
;; generate: endless-number
