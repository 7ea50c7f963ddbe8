;; attacks: the client: a value that no header may have
;; expect: 502 invalid_response
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\02\00\00\01\00\00\00\00\00\00\00")
(data (i32.const 512) "\80\00\00\00\04\00\00\00\14\02\00\00\01\00\00\00\00\00\00\00\00")
(func $attack (param i32) (result i32) (i32.const 256))
