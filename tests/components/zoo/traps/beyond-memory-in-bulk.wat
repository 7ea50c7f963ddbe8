;; attacks: the guard pages: a fill that begins within memory and ends behind it
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (memory.fill (i32.const 65535) (i32.const 1) (i32.const -1))
  (unreachable))
