;; attacks: the buffers of the host: eight mebibytes are written where it may write less
;; expect: cut
;; guest: zoo-wasi-http-0-2
;; request: GET /writes-without-leave 0
