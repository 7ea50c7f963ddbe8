;; attacks: the threads of the host: it would start its own
;; expect: refused compile "thread"
;; in component
(core type $entry (func (param i32)))
(core module $table-module (table (export "table") 1 funcref))
(core instance $table (instantiate $table-module))
(core func $thread-new (canon thread.new-indirect $entry (core table $table "table")))
