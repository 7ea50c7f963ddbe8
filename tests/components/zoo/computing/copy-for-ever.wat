;; attacks: the epoch: instructions that each copy four mebibytes over themselves
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32)
  (drop (memory.grow (i32.const 128)))
  (loop $again
    (memory.copy (i32.const 65537) (i32.const 65536) (i32.const 4194304))
    (br $again))
  (unreachable))
