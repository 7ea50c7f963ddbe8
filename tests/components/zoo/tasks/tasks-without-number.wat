;; attacks: the memory of the host: two hundred thousand tasks behind one answer
;; expect: 500 memory_exceeded or 504 cpu_exceeded
;; guest: zoo-handler
;; request: GET /tasks 0
