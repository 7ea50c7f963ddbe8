;; attacks: the call of an element that nobody has set
;; expect: 500 guest_trapped
(table $table 1 funcref)
(func $attack (param i32) (result i32) (call_indirect $table (result i32) (i32.const 0)))
