;; attacks: the memory of the host: fifty thousand fields whose values are the same eight mebibytes
;; expect: 500 guest_trapped
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\00\01\00\50\c3\00\00\00\00\00\00")
(func $attack (param i32) (result i32)
  (local $at i32)
  (drop (memory.grow (i32.const 220)))
  (local.set $at (i32.const 65536))
  (loop $next
    (i32.store offset=0 (local.get $at) (i32.const 128))
    (i32.store offset=4 (local.get $at) (i32.const 1))
    (i32.store offset=8 (local.get $at) (i32.const 1048576))
    (i32.store offset=12 (local.get $at) (i32.const 8388608))
    (local.set $at (i32.add (local.get $at) (i32.const 16)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 865536))))
  (i32.const 256))
