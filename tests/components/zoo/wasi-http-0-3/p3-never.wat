;; attacks: the wall: it waits for ever
;; expect: 504 timeout
;; limits: wall = "400ms"
;; guest: zoo-wasi-http-0-3
;; request: GET /never 0
