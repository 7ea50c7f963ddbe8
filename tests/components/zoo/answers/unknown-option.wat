;; attacks: the lifting of a failure: its details are neither there nor missing
;; expect: 500 guest_trapped
(data (i32.const 256) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\07\00\00\00")
(func $attack (param i32) (result i32) (i32.const 256))
