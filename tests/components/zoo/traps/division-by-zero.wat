;; attacks: the signal handler: a fault of the processor
;; expect: 500 guest_trapped
(func $attack (param $args i32) (result i32) (i32.div_s (local.get $args) (i32.const 0)))
