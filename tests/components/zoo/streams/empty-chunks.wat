;; attacks: the budget that each chunk renews: chunks of nothing, without end
;; expect: cut
(func $attack (param i32) (result i32)
  (call $answer-with-stream)
  (global.set $set (call $set-new))
  (call $join (global.get $bytes) (global.get $set))
  (call $write))
(global $set (mut i32) (i32.const 0))
(func $write (result i32)
  (loop $again
    (br_if $again (i32.ne (i32.const -1) (call $stream-write (global.get $bytes) (i32.const 1024) (i32.const 0)))))
  (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (call $write))
