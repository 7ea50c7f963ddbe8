;; attacks: the lifting of an answer: address and length together begin anew at zero
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\f0\ff\ff\ff\20\00\00\00")
(func $attack (param i32) (result i32) (i32.const 256))
