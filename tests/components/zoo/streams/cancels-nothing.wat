;; attacks: the state of a stream: a read is cancelled that was never begun
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (drop (call $stream-cancel-read (i32.wrap_i64 (call $stream-new))))
  (unreachable))
