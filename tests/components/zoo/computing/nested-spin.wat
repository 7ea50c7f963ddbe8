;; attacks: the bill of nested calls: the component that it calls spins
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32) (call $inner) (call $answer))
;; in inner
(core module $inner (func (export "attack") (loop $spin (br $spin))))
