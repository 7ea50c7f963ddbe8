;; attacks: the decoder's memory: a record of a hundred thousand fields
;; expect: refused inspect "record"
;; generate: record 100000
