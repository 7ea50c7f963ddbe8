;; attacks: the client: the largest number that the field holds
;; expect: 502 invalid_response
(data (i32.const 260) "\ff\ff")
(func $attack (param i32) (result i32) (i32.const 256))
