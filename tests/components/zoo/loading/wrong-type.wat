;; attacks: the contract: it exports the handler's name with another function behind it
;; expect: refused instantiate "tuple"
(component
  (core module $m (func (export "handle") (result i32) (i32.const 0)))
  (core instance $m (instantiate $m))
  (func $handle (result u32) (canon lift (core func $m "handle")))
  (component $export
    (import "import-func-handle" (func $handle (result u32)))
    (export "handle" (func $handle)))
  (instance $handler (instantiate $export (with "import-func-handle" (func $handle))))
  (export "wharf:plugin/handler@0.1.0" (instance $handler)))
