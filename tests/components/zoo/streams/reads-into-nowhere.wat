;; attacks: the host's copies: a buffer behind the end of memory
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (drop (call $stream-read (i32.wrap_i64 (call $stream-new)) (i32.const -4096) (i32.const 8192)))
  (unreachable))
