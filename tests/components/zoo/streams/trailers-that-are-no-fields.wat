;; attacks: the client: trailers with a line break in them
;; expect: cut
(data (i32.const 256) "\00\00\00\00\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\30\02\00\00\04\00\00\00\34\02\00\00\06\00\00\00")
(data (i32.const 560) "etaga\r\nb: ")
(func $attack (param i32) (result i32)
  (local $set i32)
  (call $answer-with-stream)
  (call $stream-drop-writable (global.get $bytes))
  (local.set $set (call $set-new))
  (call $join (global.get $end) (local.get $set))
  (drop (call $future-write (global.get $end) (i32.const 256)))
  (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (i32.const 0))
