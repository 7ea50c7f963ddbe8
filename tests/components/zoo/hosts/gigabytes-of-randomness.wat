;; attacks: the memory of the host: four gibibytes of random bytes
;; expect: 500 guest_trapped
;; guest: zoo-handler
;; request: GET /gigabytes-of-randomness 0
