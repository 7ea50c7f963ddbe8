;; attacks: the log: a trap below fifty functions whose names have ninety kilobytes
;; expect: 500 guest_trapped
;; generate: name 90000
