;; attacks: the table of resources: timers without end
;; expect: 500 guest_trapped
;; guest: zoo-handler
;; request: GET /pollables 0
;; limits: cpu = "2s"; wall = "5s"
