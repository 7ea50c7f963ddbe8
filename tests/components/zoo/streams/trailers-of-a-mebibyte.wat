;; attacks: the memory of the host and the client: the body has no byte, its trailers have a mebibyte
;; expect: cut
;; open: limits.response_headers does not hold for trailers
(data (i32.const 256) "\00\00\00\00\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\30\02\00\00\04\00\00\00\00\00\01\00\00\00\10\00")
(data (i32.const 560) "etag")
(func $attack (param i32) (result i32)
  (local $set i32)
  (drop (memory.grow (i32.const 20)))
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576))
  (call $answer-with-stream)
  (call $stream-drop-writable (global.get $bytes))
  (local.set $set (call $set-new))
  (call $join (global.get $end) (local.get $set))
  (drop (call $future-write (global.get $end) (i32.const 256)))
  (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (i32.const 0))
