;; attacks: the load: lifecycle.health waits for ever
;; expect: refused health "limits.wall"
;; limits: wall = "400ms"
;; guest: zoo-handler
;; grants: env = { BEAST = "health-waits" }
