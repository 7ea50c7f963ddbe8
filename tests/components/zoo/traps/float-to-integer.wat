;; attacks: the signal handler: a number that is none
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (i32.trunc_f64_s (f64.const nan)))
