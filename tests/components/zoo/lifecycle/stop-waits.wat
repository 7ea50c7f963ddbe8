;; attacks: whoever drops an instance: lifecycle.stop waits for ever
;; expect: 200 then 200
;; guest: zoo-handler
;; request: GET /hello 0
;; grants: env = { BEAST = "stop-waits" }
;; pool: reuse = 1
