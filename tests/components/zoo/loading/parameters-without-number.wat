;; attacks: the decoder: a function of a hundred thousand parameters
;; expect: refused inspect "parameters"
;; generate: parameters 100000
