;; attacks: the decoder: a function of twenty thousand parameters
;; expect: refused inspect "parameters"
;; generate: parameters 20000
