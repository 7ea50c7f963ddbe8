//! The one way from a door to a plugin's function.

use std::time::Instant;

use wharf_call::{Call, Failure, FunctionId, Invocation, Reply, Service};

const CALLS: &str = "wharf_rpc_calls_total";
const SECONDS: &str = "wharf_rpc_call_duration_seconds";

/// Says what the metrics of this crate are.
pub fn describe_metrics() {
    metrics::describe_counter!(CALLS, "Calls of functions, by door and by what became of them");
    metrics::describe_histogram!(
        SECONDS,
        metrics::Unit::Seconds,
        "Until a function gave its value, or its stream began"
    );
    crate::socket::describe_metrics();
}

/// Calls a function of `service`, counted.
///
/// The labels are the plugin's name, the door, the function and the kind of failure, or `ok`. A function's name is of
/// the component and not of the manifest; the engine bounds how many there are.
///
/// # Errors
/// As of [`Service::invoke`].
pub async fn invoke(service: &dyn Service, call: Call, invocation: Invocation) -> Result<Reply, Failure> {
    let (door, function) = (call.door.name(), label(service, call.function));
    let began = Instant::now();
    let called = service.invoke(call, invocation).await;
    let kind = called.as_ref().map_or_else(|failure| failure.kind().name(), |_| "ok");
    let plugin = service.plugin().to_owned();
    metrics::histogram!(SECONDS, "plugin" => plugin.clone(), "door" => door).record(began.elapsed());
    metrics::counter!(CALLS, "plugin" => plugin, "door" => door, "function" => function, "kind" => kind)
        .increment(1);
    called
}

fn label(service: &dyn Service, id: FunctionId) -> String {
    let (interface, function) = service.schema().function(id);
    format!("{}.{}", interface.name, function.name)
}
