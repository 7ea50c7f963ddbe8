;; attacks: the time of an instantiation: five thousand pieces of data
;; expect: 200
;; generate: data-segments 5000
