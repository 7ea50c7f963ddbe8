;; attacks: the refusal, which names every export: there are twenty thousand
;; expect: refused inspect "and 19970 more"
;; generate: exports 20000
