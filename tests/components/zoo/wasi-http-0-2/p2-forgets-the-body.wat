;; attacks: the client: a body is dropped and never finished
;; expect: cut
;; guest: zoo-wasi-http-0-2
;; request: GET /forgets-the-body 0
