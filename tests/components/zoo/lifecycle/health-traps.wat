;; attacks: the load: lifecycle.health traps
;; expect: refused health "unreachable"
;; guest: zoo-handler
;; grants: env = { BEAST = "health-traps" }
