;; attacks: the call of a function that does not exist
;; expect: 500 guest_trapped
(table $table 1 funcref)
(func $attack (param i32) (result i32) (call_indirect $table (result i32) (i32.const -1)))
