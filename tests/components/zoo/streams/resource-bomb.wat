;; attacks: the table of handles: resources of its own without end
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (loop $again (drop (call $new (i32.const 1))) (br $again)) (unreachable))
;; in component
(type $beast (resource (rep i32)))
(core func $beast-new (canon resource.new $beast))
(core instance $beast (export "new" (func $beast-new)))
;; in imports
(import "beast" "new" (func $new (param i32) (result i32)))
;; in with
(with "beast" (instance $beast))
