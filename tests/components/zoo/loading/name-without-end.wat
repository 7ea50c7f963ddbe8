;; attacks: the refusal, which names what is imported: the name has ninety kilobytes
;; expect: refused inspect "x-…"
;; generate: import-name 45000
