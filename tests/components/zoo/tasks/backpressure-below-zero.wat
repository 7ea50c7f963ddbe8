;; attacks: a counter that begins at zero
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (call $backpressure-dec) (unreachable))
