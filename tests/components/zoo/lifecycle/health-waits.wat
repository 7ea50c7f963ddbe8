;; attacks: the load: lifecycle.health waits for ever
;; expect: refused health "limits.wall"
;; guest: zoo-handler
;; grants: env = { BEAST = "health-waits" }
