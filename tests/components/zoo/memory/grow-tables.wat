;; attacks: the memory of the host: a table grows until it is refused
;; expect: 500 guest_trapped
(table $table 1 funcref)
(func $attack (param i32) (result i32)
  (loop $more (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 10000)) (i32.const -1))))
  (unreachable))
