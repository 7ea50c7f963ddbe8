;; attacks: the compiler's memory: two hundred tables of a thousand branches
;; expect: 500 guest_trapped
;; generate: branches 200
