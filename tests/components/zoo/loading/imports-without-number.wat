;; attacks: the refusal, which names every import: there are nine hundred
;; expect: refused inspect "and 870 more"
;; generate: imports 900
