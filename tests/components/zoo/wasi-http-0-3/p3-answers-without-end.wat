;; attacks: the table of handles: responses and futures without end
;; expect: 500 guest_trapped or 504 cpu_exceeded
;; guest: zoo-wasi-http-0-3
;; request: GET /answers-without-end 0
