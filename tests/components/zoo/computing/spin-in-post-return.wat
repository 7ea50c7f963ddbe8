;; attacks: what comes after an answer: the clean-up of a call never ends
;; expect: 504 cpu_exceeded
(func $post-return (export "post-return") (param i32)
  (if (global.get $armed) (then (loop $spin (br $spin)))))
