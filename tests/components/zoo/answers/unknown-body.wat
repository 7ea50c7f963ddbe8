;; attacks: the lifting of an answer: its body is of a kind that there is not
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\ff\00\00\00")
(func $attack (param i32) (result i32) (i32.const 256))
