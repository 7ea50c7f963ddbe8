;; attacks: the next caller: from now on this instance lets no call in
;; expect: 200 then 504 timeout
;; limits: wall = "400ms"
(func $attack (param i32) (result i32) (call $backpressure-inc) (call $answer))
