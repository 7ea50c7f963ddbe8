;; attacks: the refusal, which quotes the plugin: eight mebibytes of words
;; expect: refused health "lifecycle.health: xxxx"
;; guest: zoo-handler
;; grants: env = { BEAST = "health-fails" }
