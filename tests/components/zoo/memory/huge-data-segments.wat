;; attacks: the memory of the host: thirty-two mebibytes of data for a memory of forty
;; expect: refused instantiate "limits.memory"
;; generate: data-segment 33554432
