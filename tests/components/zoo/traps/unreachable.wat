;; attacks: its own call, and whoever comes next
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (unreachable))
