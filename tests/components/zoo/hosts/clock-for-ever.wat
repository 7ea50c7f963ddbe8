;; attacks: the billing of host calls: the time of day without end
;; expect: 504 cpu_exceeded or 504 timeout
;; guest: zoo-handler
;; request: GET /clock 0
