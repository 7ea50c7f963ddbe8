;; attacks: the component's lock: the guest's allocator calls out while a request is lowered
;; expect: 500 guest_trapped
;; then: silent
(func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
  (drop (call $set-new))
  (i32.const 4096))
