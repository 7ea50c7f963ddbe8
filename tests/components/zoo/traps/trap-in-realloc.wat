;; attacks: the lowering of a request: the guest's allocator traps
;; expect: 500 guest_trapped
;; then: silent
(func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
