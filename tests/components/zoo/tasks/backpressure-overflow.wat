;; attacks: a counter of sixteen bits
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (loop $again (call $backpressure-inc) (br $again)) (unreachable))
