;; attacks: the memory of the host: a thousand fields of a kilobyte
;; expect: 502 response_too_large
;; guest: rogue
;; request: GET /huge-headers 0
