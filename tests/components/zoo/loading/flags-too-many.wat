;; attacks: the bits of a word: more flags than there are
;; expect: refused inspect "flags"
;; generate: flags 1000
