;; attacks: whoever prints it: a record of ten thousand fields
;; expect: refused inspect "no export is one of"
;; generate: record 10000
