;; attacks: the epoch: instructions that each fill a table
;; expect: 504 cpu_exceeded
(table $table 50000 funcref)
(func $attack (param i32) (result i32)
  (loop $again
    (table.fill $table (i32.const 0) (ref.null func) (i32.const 50000))
    (br $again))
  (unreachable))
