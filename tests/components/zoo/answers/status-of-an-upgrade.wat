;; attacks: the connection: 101 would make it another protocol's
;; expect: 502 invalid_response
(data (i32.const 260) "\65\00")
(func $attack (param i32) (result i32) (i32.const 256))
