;; attacks: the executor: it spins when the head is out
;; expect: cut
;; guest: zoo-wasi-http-0-3
;; request: GET /spins-after-the-head 0
