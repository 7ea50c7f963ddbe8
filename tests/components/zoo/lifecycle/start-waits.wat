;; attacks: the load: lifecycle.start waits for ever
;; expect: refused start "limits.wall"
;; guest: zoo-handler
;; grants: env = { BEAST = "start-waits" }
