;; attacks: the lowering of a request: each block is at the same address
;; expect: 200
(func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
