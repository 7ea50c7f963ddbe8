;; attacks: the table of handles: stream and future have changed places
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (call $task-return (i32.const 0) (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 2)
    (i32.wrap_i64 (call $future-new)) (i32.wrap_i64 (call $stream-new)) (i32.const 0))
  (i32.const 0))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
