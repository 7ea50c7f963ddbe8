;; attacks: the decoder's memory: two hundred thousand types
;; expect: refused inspect "no export is one of"
;; generate: types 200000
