;; attacks: the decoder's stack: a list of lists of lists
;; expect: refused inspect "type nesting is too deep"
;; generate: deep-type 1000
