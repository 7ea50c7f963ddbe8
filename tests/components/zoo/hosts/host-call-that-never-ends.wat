;; attacks: the wall: it blocks in a host call for thirty-six years
;; expect: 504 timeout
;; limits: wall = "400ms"
;; guest: zoo-handler
;; request: GET /block 0
