;; attacks: the slots of the pool: more core instances than a component can have
;; expect: refused compile "core module instances"
;; generate: core-instances 100
