;; attacks: the decoder's stack: the type of an instance that has the type of an instance
;; expect: refused inspect "not a valid component"
;; generate: nested-types 200000
;; open: the decoder calls itself for each of them, and its stack ends with the host; inspecting belongs into the process that compiles
