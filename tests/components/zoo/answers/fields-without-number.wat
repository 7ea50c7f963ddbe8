;; attacks: the lifting of an answer: so many fields that their size overflows
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\10\00")
(func $attack (param i32) (result i32) (i32.const 256))
