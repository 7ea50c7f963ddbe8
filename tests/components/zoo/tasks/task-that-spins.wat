;; attacks: the executor: a task that stays behind spins
;; expect: 200
;; guest: zoo-handler
;; request: GET /task-that-spins 0
