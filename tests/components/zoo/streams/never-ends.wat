;; attacks: the client: a head, and then nothing
;; expect: cut
(func $attack (param i32) (result i32)
  (call $answer-with-stream)
  (i32.or (i32.const 2) (i32.shl (call $set-new) (i32.const 4))))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
