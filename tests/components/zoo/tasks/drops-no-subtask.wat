;; attacks: the table of handles: a stream is dropped as if it were a subtask
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (call $subtask-drop (i32.wrap_i64 (call $stream-new))) (unreachable))
