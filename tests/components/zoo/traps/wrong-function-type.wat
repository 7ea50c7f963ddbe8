;; attacks: the call of a function as if it had another type
;; expect: 500 guest_trapped
(table $table 1 funcref)
(elem (i32.const 0) $other)
(func $other (param f64))
(func $attack (param i32) (result i32) (call_indirect $table (result i32) (i32.const 0)))
