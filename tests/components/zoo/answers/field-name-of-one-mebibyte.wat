;; attacks: the log: a field whose name is long, and wrong
;; expect: 502 response_too_large
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\02\00\00\01\00\00\00\00\00\00\00")
(data (i32.const 512) "\00\00\01\00\00\00\10\00\00\00\00\00\00\00\00\00")
(func $attack (param i32) (result i32) (drop (memory.grow (i32.const 20))) (i32.const 256))
