;; attacks: the epoch: instructions that each write eight mebibytes
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32)
  (drop (memory.grow (i32.const 128)))
  (loop $again
    (memory.fill (i32.const 65536) (i32.const 7) (i32.const 8323072))
    (br $again))
  (unreachable))
