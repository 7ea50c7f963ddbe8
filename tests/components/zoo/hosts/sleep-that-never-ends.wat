;; attacks: the wall: the thread of the guest sleeps
;; expect: 504 timeout
;; limits: wall = "400ms"
;; guest: zoo-handler
;; request: GET /sleep 0
