;; attacks: the lifting of an answer: it is neither ok nor an error
;; expect: 500 guest_trapped
(data (i32.const 256) "\02")
(func $attack (param i32) (result i32) (i32.const 256))
