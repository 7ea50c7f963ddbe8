;; attacks: the host's copies: a memory that threads change while the host reads it
;; expect: refused compile "shared"
(memory 1 2 shared)
