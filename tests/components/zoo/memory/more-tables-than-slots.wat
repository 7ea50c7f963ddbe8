;; attacks: the slots of the pool: more tables than a component can have
;; expect: refused compile "tables"
;; generate: tables 40
