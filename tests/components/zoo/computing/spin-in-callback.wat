;; attacks: the event loop: a task that yielded is resumed and never returns
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32) (i32.const 1))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (loop $spin (br $spin)) (unreachable))
