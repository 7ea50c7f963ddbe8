;; attacks: the component's lock: it calls into a component that it holds itself
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (call $child) (call $answer))
;; in component
(component $child-component
  (core module $good (func (export "good")))
  (core instance $good (instantiate $good))
  (func $good (canon lift (core func $good "good")))
  (export "good" (func $good)))
(instance $child (instantiate $child-component))
(core func $child-good (canon lower (func $child "good")))
(core instance $child-core (export "good" (func $child-good)))
;; in imports
(import "child" "good" (func $child))
;; in with
(with "child" (instance $child-core))
