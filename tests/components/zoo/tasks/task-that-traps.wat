;; attacks: an answer that is out already: a task that stays behind traps
;; expect: 200
;; guest: zoo-handler
;; request: GET /task-that-traps 0
