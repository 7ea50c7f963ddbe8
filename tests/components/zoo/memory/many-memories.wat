;; attacks: the sum: each of its memories is small enough
;; expect: refused instantiate "limits.memory"
;; in component
(core module $hoard (memory 100))
(core instance (instantiate $hoard))
(core instance (instantiate $hoard))
(core instance (instantiate $hoard))
