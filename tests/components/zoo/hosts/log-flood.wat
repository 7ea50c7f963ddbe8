;; attacks: the log: three thousand lines
;; expect: 200
;; guest: zoo-handler
;; request: GET /lines 0
;; limits: cpu = "10s"; wall = "10s"
