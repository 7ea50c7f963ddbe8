;; attacks: whoever prints it: three functions, each with a type of 2^17 parts
;; expect: refused inspect "no export is one of"
;; generate: doubled-type-often 3
