;; attacks: the operator: a failure that claims to be the host's own
;; expect: 500 overloaded
(data (i32.const 256) "\01\00\00\00\00\02\00\00\0a\00\00\00\00\02\00\00\0a\00\00\00\00\00\00\00")
(data (i32.const 512) "overloaded")
(func $attack (param i32) (result i32) (i32.const 256))
