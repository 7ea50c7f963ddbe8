;; attacks: the contract: it exports the handler's name with nothing behind it
;; expect: refused inspect "handle"
(component
  (component $export)
  (instance $handler (instantiate $export))
  (export "wharf:plugin/handler@0.1.0" (instance $handler)))
