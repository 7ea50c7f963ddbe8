;; attacks: the client: a head and a chunk, and then nothing
;; expect: cut
;; guest: zoo-wasi-http-0-3
;; request: GET /holds-the-body 0
