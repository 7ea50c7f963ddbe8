;; attacks: the compiler's allocation of registers: two thousand values that all live at once
;; expect: 500 guest_trapped
;; generate: locals 2000
