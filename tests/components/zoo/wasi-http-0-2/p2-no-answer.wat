;; attacks: the answer: the place for it is dropped
;; expect: 502 invalid_response
;; guest: zoo-wasi-http-0-2
;; request: GET /no-answer 0
