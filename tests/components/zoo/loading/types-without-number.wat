;; attacks: the decoder's memory: fifty thousand types
;; expect: refused inspect "no export is one of"
;; generate: types 50000
