;; attacks: whoever drops an instance: lifecycle.stop takes all memory
;; expect: 200 then 200
;; guest: zoo-handler
;; request: GET /hello 0
;; grants: env = { BEAST = "stop-hoards" }
;; pool: reuse = 1
