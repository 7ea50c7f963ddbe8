;; attacks: whoever waits for an instance: its core module traps when it starts
;; expect: refused instantiate "unreachable"
(func $start (unreachable))
(start $start)
