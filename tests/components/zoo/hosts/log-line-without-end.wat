;; attacks: the log: one line of sixteen mebibytes
;; expect: 200
;; guest: zoo-handler
;; request: GET /line-without-end 0
;; limits: cpu = "10s"; wall = "10s"
