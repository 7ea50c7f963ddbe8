;; attacks: the memory of the host: more than the plugin may have, less than the engine's ceiling
;; expect: refused instantiate "limits.memory"
;; in store
(memory (export "memory") 1024)
