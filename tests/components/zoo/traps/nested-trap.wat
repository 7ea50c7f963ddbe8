;; attacks: the outer component: the one that it calls traps, and it would like to go on
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (call $inner) (call $answer))
;; in inner
(core module $inner (func (export "attack") (unreachable)))
