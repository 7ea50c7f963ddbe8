;; attacks: the load: lifecycle.health never returns
;; expect: refused health "limits.cpu"
;; guest: zoo-handler
;; grants: env = { BEAST = "health-spins" }
