;; attacks: the load: lifecycle.start never returns
;; expect: refused start "limits.cpu"
;; guest: zoo-handler
;; grants: env = { BEAST = "start-spins" }
