;; attacks: the table of handles: futures without end
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (loop $again (drop (call $future-new)) (br $again)) (unreachable))
