;; attacks: the state of a stream: a second read while the first is still going on
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (local $stream i32)
  (local.set $stream (i32.wrap_i64 (call $stream-new)))
  (drop (call $stream-read (local.get $stream) (i32.const 1024) (i32.const 1)))
  (drop (call $stream-read (local.get $stream) (i32.const 1024) (i32.const 1)))
  (unreachable))
