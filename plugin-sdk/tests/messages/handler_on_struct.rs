#[wharf_sdk::handler]
struct Notes; //~ `#[wharf::handler]` belongs on an `async fn` or on an `impl Handler for ...`
