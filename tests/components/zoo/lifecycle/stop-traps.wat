;; attacks: whoever drops an instance: lifecycle.stop traps
;; expect: 200 then 200
;; guest: zoo-handler
;; request: GET /hello 0
;; grants: env = { BEAST = "stop-traps" }
;; pool: reuse = 1
