;; attacks: the slots of the pool: more memories than a component can have
;; expect: refused compile "memories"
(memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (memory 1)
