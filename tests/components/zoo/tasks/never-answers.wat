;; attacks: the answer: the task ends without one
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (i32.const 0))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
