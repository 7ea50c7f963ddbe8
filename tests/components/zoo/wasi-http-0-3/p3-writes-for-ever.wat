;; attacks: the client: a body without end
;; expect: cut
;; guest: zoo-wasi-http-0-3
;; request: GET /writes-for-ever 0
