;; attacks: the lifting of an answer: a body as long as a length can be
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\ff\ff\ff\ff")
(func $attack (param i32) (result i32) (i32.const 256))
