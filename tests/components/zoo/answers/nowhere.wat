;; attacks: the lifting of an answer: it lies at the end of all addresses
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (i32.const -4))
