;; attacks: the client: the answer says that it comes in chunks and that the connection is another protocol's
;; expect: 200
(data (i32.const 256) "\00\00\00\00\c8\00\00\00\00\02\00\00\02\00\00\00\01\00\00\00\80\00\00\00\05\00\00\00")
(data (i32.const 512) "\30\02\00\00\11\00\00\00\41\02\00\00\07\00\00\00\50\02\00\00\07\00\00\00\57\02\00\00\09\00\00\00")
(data (i32.const 560) "transfer-encodingchunked")
(data (i32.const 592) "upgradewebsocket")
(func $attack (param i32) (result i32) (i32.const 256))
