;; attacks: the host's lifting: a future whose value is read where it is written
;; expect: 500 guest_trapped
(data (i32.const 1024) "\00\00\00\00\00\00\10\00\ff\ff\ff\0f")
(func $attack (param i32) (result i32)
  (local $future i64)
  (local.set $future (call $future-new))
  (drop (call $future-read (i32.wrap_i64 (local.get $future)) (i32.const 2048)))
  (drop (call $future-write (i32.wrap_i64 (i64.shr_u (local.get $future) (i64.const 32))) (i32.const 1024)))
  (call $answer))
