;; attacks: the host's copies: a buffer of two gibibytes
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (drop (call $stream-read (i32.wrap_i64 (call $stream-new)) (i32.const 0) (i32.const -2147483648)))
  (unreachable))
