;; attacks: the executor: a call that never yields
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32) (loop $spin (br $spin)) (unreachable))
