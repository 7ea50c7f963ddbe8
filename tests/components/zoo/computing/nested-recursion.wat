;; attacks: the stack, across two components
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (call $inner) (call $answer))
;; in inner
(core module $inner (func $again (export "attack") (call $again) (call $again)))
