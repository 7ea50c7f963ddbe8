;; attacks: whoever waits for an instance: its core module never starts
;; expect: refused instantiate "limits.cpu"
(func $start (loop $spin (br $spin)))
(start $start)
