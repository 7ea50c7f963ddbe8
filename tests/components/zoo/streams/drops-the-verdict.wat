;; attacks: the client: the future that says how the body ended is dropped without a word
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (call $answer-with-stream)
  (call $future-drop-writable (global.get $end))
  (i32.const 0))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
