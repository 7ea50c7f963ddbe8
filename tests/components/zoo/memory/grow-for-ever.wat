;; attacks: the limit itself: it is asked for more without end, and refuses without end
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32)
  (loop $again (drop (memory.grow (i32.const 1000))) (br $again))
  (unreachable))
