;; attacks: the event loop: a callback returns a code that there is not
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (i32.const 15))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
