;; attacks: the lifting of an answer: it begins within memory and ends behind it
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8)))
