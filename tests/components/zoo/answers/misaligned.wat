;; attacks: the lifting of an answer: its address is odd
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (i32.const 65))
