;; attacks: the lifting of an answer: the list of fields is at an odd address
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\01\03\00\00\01\00\00\00\00\00\00\00")
(func $attack (param i32) (result i32) (i32.const 256))
