;; attacks: the event loop: nothing in the whole system can wake the task
;; expect: 504 timeout
;; limits: wall = "400ms"
(func $attack (param i32) (result i32) (i32.or (i32.const 2) (i32.shl (call $set-new) (i32.const 4))))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
