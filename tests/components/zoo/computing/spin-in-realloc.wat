;; attacks: the lowering of a request: the guest's allocator never returns
;; expect: 504 cpu_exceeded
(global $next (mut i32) (i32.const 4096))
(func $realloc (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
  ;; Only the body of an attack has this size.
  (if (i32.eq (local.get $size) (i32.const 4099)) (then (loop $spin (br $spin))))
  (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
  (global.get $next)
  (global.set $next (i32.add (global.get $next) (local.get $size)))
  (if (i32.gt_u (global.get $next) (i32.const 32768)) (then (global.set $next (i32.const 4096)))))
