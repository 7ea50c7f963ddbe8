;; attacks: the answer: it is given, and then given again
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (drop (call $answer)) (call $answer))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
