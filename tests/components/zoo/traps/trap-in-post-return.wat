;; attacks: an answer that is out already: the clean-up of its call traps
;; expect: 500 guest_trapped
(func $post-return (export "post-return") (param i32) (if (global.get $armed) (then (unreachable))))
