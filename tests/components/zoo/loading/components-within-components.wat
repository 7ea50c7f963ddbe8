;; attacks: the decoder's stack: a component in a component in a component
;; expect: refused inspect "no export is one of"
;; generate: nested-components 2000
