;; attacks: the state of a stream: both ends are its own, and it copies its memory over itself
;; expect: 200
(func $attack (param i32) (result i32)
  (local $stream i64)
  (local.set $stream (call $stream-new))
  (drop (call $stream-read (i32.wrap_i64 (local.get $stream)) (i32.const 1025) (i32.const 2000)))
  (drop (call $stream-write (i32.wrap_i64 (i64.shr_u (local.get $stream) (i64.const 32))) (i32.const 1024) (i32.const 2000)))
  (call $answer))
