;; attacks: the time after an answer: the task never returns from the call in which it has answered
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32)
  (drop (call $answer))
  (loop $spin (br $spin))
  (unreachable))
(func $callback (export "callback") (param i32 i32 i32) (result i32) (unreachable))
