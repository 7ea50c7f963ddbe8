;; attacks: the refusal, which names every export: there are five thousand
;; expect: refused inspect "and 4970 more"
;; generate: exports 5000
