;; attacks: the arithmetic of the limit: four gibibytes in one step
;; expect: 500 memory_exceeded
(func $attack (param i32) (result i32)
  (if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then (unreachable)))
  (call $answer))
