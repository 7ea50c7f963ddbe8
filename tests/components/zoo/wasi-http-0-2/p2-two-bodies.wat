;; attacks: the state of a response: its body is taken twice
;; expect: 500 guest_trapped
;; guest: zoo-wasi-http-0-2
;; request: GET /two-bodies 0
