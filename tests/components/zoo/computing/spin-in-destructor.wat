;; attacks: the dropping of a handle: the resource's destructor never ends
;; expect: 504 cpu_exceeded
(func $attack (param i32) (result i32)
  (call $drop (call $new (i32.const 1)))
  (unreachable))
;; in store
(func (export "destroy") (param i32) (loop $spin (br $spin)))
;; in component
(alias core export $store "destroy" (core func $destroy))
(type $beast (resource (rep i32) (dtor (func $destroy))))
(core func $beast-new (canon resource.new $beast))
(core func $beast-drop (canon resource.drop $beast))
(core instance $beast (export "new" (func $beast-new)) (export "drop" (func $beast-drop)))
;; in imports
(import "beast" "new" (func $new (param i32) (result i32)))
(import "beast" "drop" (func $drop (param i32)))
;; in with
(with "beast" (instance $beast))
