;; attacks: the stack, from within the lowering of a request
;; expect: 500 guest_trapped
;; then: silent
(func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
  (i32.add (i32.const 8)
    (call $realloc (local.get 0) (local.get 1) (local.get 2) (local.get 3))))
