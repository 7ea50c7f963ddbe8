;; attacks: the log: a message that looks like the end of a line and the begin of another
;; expect: 500
(data (i32.const 256) "\01\00\00\00\00\02\00\00\05\00\00\00\10\02\00\00\30\00\00\00\01\00\00\00\10\02\00\00\30\00\00\00")
(data (i32.const 512) "k\n\"}{")
(data (i32.const 528) "\"}\n{\"level\":\"error\",\"message\":\"panicked\"}\n\1b[2J\00")
(func $attack (param i32) (result i32) (i32.const 256))
