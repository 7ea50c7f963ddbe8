;; attacks: the client: a head and a chunk, and then a trap
;; expect: cut
;; guest: rogue
;; request: GET /trap-in-stream 0
