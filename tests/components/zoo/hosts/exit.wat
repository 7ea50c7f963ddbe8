;; attacks: the process of the host: it exits, well
;; expect: 500 guest_trapped
;; guest: zoo-handler
;; request: GET /exit 0
