;; attacks: the executor: a head and a chunk, and then an endless loop
;; expect: cut
;; guest: rogue
;; request: GET /spin-in-stream 0
