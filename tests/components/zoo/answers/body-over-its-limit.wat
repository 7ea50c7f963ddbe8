;; attacks: the memory of the host: a whole body of eight mebibytes, where one is allowed
;; expect: 502 response_too_large
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\80\00")
(func $attack (param i32) (result i32) (drop (memory.grow (i32.const 127))) (i32.const 256))
