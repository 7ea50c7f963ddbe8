;; attacks: the reader of debug information, which a trap sets to work: an entry refers to itself
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (unreachable))
(@custom ".debug_abbrev" "\01\11\01\11\01\12\06\00\00\02\2e\01\31\13\11\01\12\06\00\00\00")
(@custom ".debug_info" "\24\00\00\00\04\00\00\00\00\00\04\01\00\00\00\00\ff\ff\ff\7f\02\14\00\00\00\00\00\00\00\ff\ff\ff\7f\00\00\00\00\00\00\00")
(@custom ".debug_str" "\00")
