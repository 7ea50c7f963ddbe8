;; attacks: the compiler's stack: twenty thousand blocks, one in another
;; expect: 500 guest_trapped
;; generate: blocks 20000
