;; attacks: the table of handles: a subtask is cancelled that was never begun
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (drop (call $subtask-cancel (i32.const 1))) (unreachable))
