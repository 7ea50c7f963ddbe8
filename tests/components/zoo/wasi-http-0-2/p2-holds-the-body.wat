;; attacks: the client: a head, and then nothing
;; expect: cut
;; guest: zoo-wasi-http-0-2
;; request: GET /holds-the-body 0
