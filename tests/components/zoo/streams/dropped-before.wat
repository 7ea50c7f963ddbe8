;; attacks: the table of handles: a stream is returned that was dropped
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (local $stream i32)
  (local.set $stream (i32.wrap_i64 (call $stream-new)))
  (call $stream-drop-readable (local.get $stream))
  (call $task-return (i32.const 0) (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 2)
    (local.get $stream) (i32.wrap_i64 (call $future-new)) (i32.const 0))
  (i32.const 0))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
