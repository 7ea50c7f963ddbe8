;; attacks: the table of handles: something joins a set that is no waitable
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (local $set i32)
  (local.set $set (call $set-new))
  (call $join (local.get $set) (local.get $set))
  (unreachable))
