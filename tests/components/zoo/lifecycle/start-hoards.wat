;; attacks: the memory of the host: lifecycle.start takes all there is
;; expect: refused start "limits.memory"
;; guest: zoo-handler
;; grants: env = { BEAST = "start-hoards" }
;; limits: cpu = "5s"; wall = "10s"
