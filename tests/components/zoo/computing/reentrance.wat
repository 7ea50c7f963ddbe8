;; attacks: the component's lock: a call of its own export, from within that export
;; expect: 500 guest_trapped
(func $attack (param $args i32) (result i32)
  (call_indirect $table (param i32 i32) (local.get $args) (i32.const 2048) (i32.const 0))
  (i32.const 2048))
(table $table (export "table") 1 funcref)
;; in component
(core module $patch
  (import "" "table" (table 1 funcref))
  (import "" "handle" (func $handle (param i32 i32)))
  (elem (i32.const 0) $handle))
;; in after
(core func $own-handle (canon lower (func $handle) (memory $memory) (realloc $realloc)))
(alias core export $guest "table" (core table $table))
(core instance $patch-imports (export "table" (table $table)) (export "handle" (func $own-handle)))
(core instance (instantiate $patch (with "" (instance $patch-imports))))
