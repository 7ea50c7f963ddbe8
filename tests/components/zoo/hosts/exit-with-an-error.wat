;; attacks: the process of the host: it exits with an error
;; expect: 500 guest_trapped
;; guest: zoo-handler
;; request: GET /exit-with-an-error 0
