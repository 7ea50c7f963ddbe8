;; attacks: the log and the client: an error code with a mebibyte of text
;; expect: 500 guest_failed
;; guest: zoo-wasi-http-0-2
;; request: GET /error 0
