;; attacks: the decoder's memory: a pair of pairs of pairs, of which there are 2^40
;; expect: refused inspect "size"
;; generate: doubled-type 40
