;; attacks: the table of resources: five thousand of them are lent at once
;; expect: 500 guest_trapped
;; guest: zoo-handler
;; request: GET /poll-many 0
