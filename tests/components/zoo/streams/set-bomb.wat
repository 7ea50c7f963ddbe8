;; attacks: the table of handles: sets of waitables without end
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (loop $again (drop (call $set-new)) (br $again)) (unreachable))
