;; attacks: the memory of the host: an instance takes all that it may have, writes to it, and is kept
;; expect: 200 then 200
(func $attack (param i32) (result i32)
  (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
  (memory.fill (i32.const 65536) (i32.const 7) (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 65536)))
  (call $answer))
