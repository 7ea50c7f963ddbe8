;; attacks: the client: the bytes end, and nobody says how
;; expect: cut
;; guest: zoo-wasi-http-0-3
;; request: GET /forgets-the-trailers 0
