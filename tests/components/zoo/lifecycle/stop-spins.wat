;; attacks: whoever drops an instance: lifecycle.stop spins
;; expect: 200 then 200
;; guest: zoo-handler
;; request: GET /hello 0
;; grants: env = { BEAST = "stop-spins" }
;; pool: reuse = 1
