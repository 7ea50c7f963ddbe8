;; attacks: the client: a status that there is not
;; expect: 502 invalid_response
(data (i32.const 260) "\00\00")
(func $attack (param i32) (result i32) (i32.const 256))
