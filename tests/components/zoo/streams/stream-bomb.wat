;; attacks: the table of handles: streams without end
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (loop $again (drop (call $stream-new)) (br $again)) (unreachable))
