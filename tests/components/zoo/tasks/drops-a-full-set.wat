;; attacks: the table of handles: a set is dropped that still has somebody in it
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (local $set i32)
  (local.set $set (call $set-new))
  (call $join (i32.wrap_i64 (call $stream-new)) (local.get $set))
  (call $set-drop (local.get $set))
  (unreachable))
