;; attacks: the table of handles: a hundred thousand host calls at once
;; expect: 500 memory_exceeded
;; guest: zoo-handler
;; request: GET /subtasks 0
;; limits: cpu = "2s"; wall = "5s"
