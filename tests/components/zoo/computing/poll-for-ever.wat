;; attacks: the event loop: a set of waitables is polled without end, and nothing ever happens
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32)
  (local $set i32)
  (local.set $set (call $set-new))
  (loop $again
    (drop (call $set-poll (local.get $set) (i32.const 256)))
    (br $again))
  (unreachable))
