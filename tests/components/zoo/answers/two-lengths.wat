;; attacks: the client: two fields say how long the body is, and they differ
;; expect: 502 invalid_response
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\02\00\00\02\00\00\00\01\00\00\00\80\00\00\00\05\00\00\00")
(data (i32.const 512) "\30\02\00\00\0e\00\00\00\40\02\00\00\01\00\00\00\30\02\00\00\0e\00\00\00\41\02\00\00\01\00\00\00")
(data (i32.const 560) "content-length\00\0056")
(func $attack (param i32) (result i32) (i32.const 256))
