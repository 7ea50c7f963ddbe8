;; attacks: the log: lines without end
;; expect: 504 cpu_exceeded or 504 timeout
;; guest: zoo-handler
;; request: GET /lines-for-ever 0
