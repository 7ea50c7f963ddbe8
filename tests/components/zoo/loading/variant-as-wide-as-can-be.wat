;; attacks: whoever prints it: a variant of ten thousand cases
;; expect: refused inspect "no export is one of"
;; generate: variant 10000
