;; attacks: the sum: the component that it calls takes the memory
;; expect: 500 memory_exceeded
(func $attack (param i32) (result i32) (call $inner) (call $answer))
;; in inner
(core module $inner (memory 1) (func (export "attack") (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)))
