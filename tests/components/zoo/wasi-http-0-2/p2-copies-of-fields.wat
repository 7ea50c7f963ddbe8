;; attacks: the memory of the host: copies without end of thirty kilobytes of fields
;; expect: 500 guest_trapped or 504 cpu_exceeded
;; guest: zoo-wasi-http-0-2
;; request: GET /copies-of-fields 0
;; limits: cpu = "5s"; wall = "10s"
