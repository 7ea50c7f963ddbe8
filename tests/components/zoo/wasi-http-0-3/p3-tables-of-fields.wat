;; attacks: the table of resources: header tables without end
;; expect: 500 guest_trapped or 504 cpu_exceeded
;; guest: zoo-wasi-http-0-3
;; request: GET /tables-of-fields 0
