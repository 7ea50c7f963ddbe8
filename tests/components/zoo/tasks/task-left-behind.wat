;; attacks: the instance: a task that waits for a year stays behind
;; expect: 200
;; guest: zoo-handler
;; request: GET /task-left-behind 0
