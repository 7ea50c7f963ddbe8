;; attacks: the host function: a poll of nothing would never return
;; expect: 500 guest_trapped
;; guest: zoo-handler
;; request: GET /poll-nothing 0
