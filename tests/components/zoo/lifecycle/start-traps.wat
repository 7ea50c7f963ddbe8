;; attacks: the load: lifecycle.start traps
;; expect: refused start "unreachable"
;; guest: zoo-handler
;; grants: env = { BEAST = "start-traps" }
