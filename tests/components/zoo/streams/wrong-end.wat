;; attacks: the table of handles: the writable end of a stream is returned
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (local $stream i64) (local $future i64)
  (local.set $stream (call $stream-new))
  (local.set $future (call $future-new))
  (call $task-return (i32.const 0) (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 2)
    (i32.wrap_i64 (i64.shr_u (local.get $stream) (i64.const 32))) (i32.wrap_i64 (local.get $future)) (i32.const 0))
  (i32.const 0))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
