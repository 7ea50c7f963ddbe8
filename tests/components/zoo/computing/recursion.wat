;; attacks: the stack: a function calls itself
;; expect: 500 guest_trapped
(func $attack (param $n i32) (result i32)
  (i32.add (call $attack (i32.add (local.get $n) (i32.const 1))) (i32.const 1)))
