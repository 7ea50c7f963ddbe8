;; attacks: the table of handles: a body of handles that were never given to it
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\02\00\00\00\4d\00\00\00\4e\00\00\00")
(func $attack (param i32) (result i32) (i32.const 256))
