;; attacks: the client: it traps when the head is out
;; expect: cut
;; guest: zoo-wasi-http-0-2
;; request: GET /traps-after-the-head 0
