;; attacks: the table of header fields, which has room for 32,768: forty thousand fields of two bytes
;; expect: 502 response_too_large
;; limits: response_headers = "1MiB"
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\01\00\40\9c\00\00\00\00\00\00")
(func $attack (param i32) (result i32)
  (local $at i32) (local $n i32)
  (drop (memory.grow (i32.const 100)))
  (local.set $at (i32.const 65536))
  (loop $next
    ;; Its name is four letters at an address of its own.
    (i32.store (i32.add (i32.const 1048576) (i32.mul (local.get $n) (i32.const 4)))
      (i32.or (i32.const 0x60606060)
        (i32.or (i32.and (local.get $n) (i32.const 0xf))
          (i32.or (i32.shl (i32.and (local.get $n) (i32.const 0xf0)) (i32.const 4))
            (i32.or (i32.shl (i32.and (local.get $n) (i32.const 0xf00)) (i32.const 8))
              (i32.shl (i32.and (local.get $n) (i32.const 0xf000)) (i32.const 12)))))))
    (i32.store offset=0 (local.get $at) (i32.add (i32.const 1048576) (i32.mul (local.get $n) (i32.const 4))))
    (i32.store offset=4 (local.get $at) (i32.const 4))
    (local.set $at (i32.add (local.get $at) (i32.const 16)))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $n) (i32.const 40000))))
  (i32.const 256))
