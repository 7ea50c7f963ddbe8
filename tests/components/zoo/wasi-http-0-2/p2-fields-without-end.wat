;; attacks: the memory of the host: header fields without end
;; expect: 500 guest_trapped
;; guest: zoo-wasi-http-0-2
;; request: GET /fields-without-end 0
