;; attacks: the client: a length that no number holds
;; expect: 502 invalid_response
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\02\00\00\01\00\00\00\01\00\00\00\80\00\00\00\05\00\00\00")
(data (i32.const 512) "\30\02\00\00\0e\00\00\00\40\02\00\00\1f\00\00\00")
(data (i32.const 560) "content-length\00\009999999999999999999999999999999")
(func $attack (param i32) (result i32) (i32.const 256))
