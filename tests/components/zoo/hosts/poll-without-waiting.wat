;; attacks: the executor: it waits for what is already over, again and again
;; expect: 504 cpu_exceeded or 504 timeout
;; guest: zoo-handler
;; request: GET /poll-without-waiting 0
