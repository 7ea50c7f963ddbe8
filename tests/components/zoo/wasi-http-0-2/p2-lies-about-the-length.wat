;; attacks: the client: eleven bytes where five were said
;; expect: cut
;; guest: zoo-wasi-http-0-2
;; request: GET /lies-about-the-length 0
