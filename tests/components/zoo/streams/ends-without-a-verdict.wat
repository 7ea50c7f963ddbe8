;; attacks: the client: the body's bytes end, and nobody says how
;; expect: cut
(func $attack (param i32) (result i32)
  (call $answer-with-stream)
  (call $stream-drop-writable (global.get $bytes))
  (i32.const 0))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
