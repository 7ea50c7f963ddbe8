;; attacks: the answer: a synchronous function gives it as a task would
;; expect: 500 guest_trapped
;; build: release, for wasmtime 48.0.8 panics of it where its debug assertions are on
(func $attack (param i32) (result i32)
  (call $task-return (i32.const 0) (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0))
  (call $answer))
