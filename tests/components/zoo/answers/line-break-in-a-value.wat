;; attacks: the client: a value that would begin another field
;; expect: 502 invalid_response
;; guest: rogue
;; request: GET /bad-header-value 0
