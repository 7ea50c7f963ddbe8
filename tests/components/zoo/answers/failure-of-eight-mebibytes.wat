;; attacks: the log and the client: a failure whose kind, message and details are eight mebibytes each
;; expect: 500 guest_failed or 500
(data (i32.const 256) "\01\00\00\00\00\00\01\00\00\00\40\00\00\00\01\00\00\00\40\00\01\00\00\00\00\00\01\00\00\00\40\00")
(func $attack (param i32) (result i32)
  (drop (memory.grow (i32.const 128)))
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 8323072))
  (i32.const 256))
