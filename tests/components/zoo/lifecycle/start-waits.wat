;; attacks: the load: lifecycle.start waits for ever
;; expect: refused start "limits.wall"
;; limits: wall = "400ms"
;; guest: zoo-handler
;; grants: env = { BEAST = "start-waits" }
