;; attacks: the event loop: a task yields, and yields again
;; expect: 504 cpu_exceeded or 504 timeout
(func $attack (param i32) (result i32) (i32.const 1))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (i32.const 1))
