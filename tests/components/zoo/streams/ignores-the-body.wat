;; attacks: the client that sends: a body is never read
;; expect: 200
;; request: POST / 1048576
(func $attack (param i32) (result i32) (call $answer))
