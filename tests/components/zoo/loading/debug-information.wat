;; attacks: the reader of debug information, which a trap sets to work: it is noise
;; expect: 500 guest_trapped
(func $attack (param i32) (result i32) (unreachable))
(@custom ".debug_info" "\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\04\00\00\00\00\00\08\01")
(@custom ".debug_abbrev" "\01\11\01\25\0e\13\05\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff\ff")
(@custom ".debug_line" "\ff\ff\ff\f0\04\00\ff\ff\ff\ff\01\01\01\fb\0e\0d")
(@custom ".debug_str" "\ff")
(@custom ".debug_ranges" "\00\00\00\00\ff\ff\ff\ff\00\00\00\00")
