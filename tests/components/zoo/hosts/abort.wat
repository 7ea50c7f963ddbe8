;; attacks: the process of the host: it aborts
;; expect: 500 guest_trapped
;; guest: zoo-handler
;; request: GET /abort 0
