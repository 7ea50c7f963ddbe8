;; attacks: the event loop: a task waits on a set that it was never given
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (i32.const 0x3fff2))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
