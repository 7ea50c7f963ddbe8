;; attacks: the guard pages: the last address that a load can name
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32)
  (i32.load offset=4294967295 (i32.const -1)))
