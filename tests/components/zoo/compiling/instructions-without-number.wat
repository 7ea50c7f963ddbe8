;; attacks: the compiler's memory: one function of thirty thousand steps
;; expect: 500 guest_trapped
;; generate: instructions 30000
