;; attacks: the decoder's memory: a section that claims more than it has
;; expect: refused inspect "not a valid component"
;; generate: claims
