;; attacks: the billing of host calls: many short ones add up
;; expect: 504 cpu_exceeded or 504 timeout
(func $attack (param i32) (result i32)
  (loop $again
    (call $set-drop (call $set-new))
    (br $again))
  (unreachable))
