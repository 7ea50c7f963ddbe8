;; attacks: the lifting of an answer: a name that is not UTF-8
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\02\00\00\01\00\00\00\00\00\00\00")
(data (i32.const 512) "\10\02\00\00\04\00\00\00\00\00\00\00\00\00\00\00\f0\9f\92\00")
(func $attack (param i32) (result i32) (i32.const 256))
