;; attacks: an answer that is out already: the task traps after it
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (drop (call $answer)) (unreachable))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
