;; attacks: the entropy of the host: a mebibyte of random bytes, and another
;; expect: 504 cpu_exceeded or 504 timeout
;; guest: zoo-handler
;; request: GET /randomness 0
