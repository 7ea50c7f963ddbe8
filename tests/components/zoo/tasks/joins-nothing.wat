;; attacks: the table of handles: a handle that there is not joins a set that there is not
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (call $join (i32.const -1) (i32.const -1)) (unreachable))
