;; attacks: the signal handler: the one quotient that does not fit
;; expect: 500 guest_trapped
(func $attack (param $args i32) (result i32)
  (i32.div_s (i32.const -2147483648) (i32.sub (i32.const 0) (i32.ne (local.get $args) (i32.const 0)))))
