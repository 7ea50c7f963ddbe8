;; attacks: the decoder's arithmetic: a section of four gibibytes in a file of fifteen bytes
;; expect: refused inspect "the file is cut off"
;; generate: section-beyond-the-end
