;; attacks: the memory of the host: eight mebibytes of data for a memory of forty
;; expect: refused instantiate "limits.memory"
;; generate: data-segment 8388608
