;; attacks: the compiler's time: twenty thousand functions
;; expect: 200
;; generate: functions 20000
