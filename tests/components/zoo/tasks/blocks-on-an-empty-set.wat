;; attacks: the event loop: the same, with its stack
;; expect: 504 timeout
;; limits: wall = "400ms"
(func $attack (param i32) (result i32)
  (drop (call $set-wait (call $set-new) (i32.const 1024)))
  (call $answer))
