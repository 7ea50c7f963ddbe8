;; attacks: the client that sends: a body is never read
;; expect: 200
;; request: POST / 1048576
;; open: the body lives in the store until its instance goes, and the connection lives with the body
(func $attack (param i32) (result i32) (call $answer))
