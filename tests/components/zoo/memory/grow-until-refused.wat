;; attacks: the memory of the host: an instance takes what it is given, and traps when there is no more
;; expect: 500 memory_exceeded
(func $attack (param i32) (result i32)
  (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
  (unreachable))
