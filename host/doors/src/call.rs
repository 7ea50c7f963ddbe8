//! The one way from a door to a plugin's function.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use metrics::{Counter, Histogram};
use wharf_call::{Call, Door, Failure, FunctionId, Invocation, Reply, Schema, Service};

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
    let (door, function) = (call.door, call.function);
    let began = Instant::now();
    let called = service.invoke(call, invocation).await;
    let took = began.elapsed();
    KNOWN.with_borrow_mut(|known| {
        known.count(service, function, door, |counted| {
            counted.seconds.record(took);
            match &called {
                Ok(_) => counted.answered.increment(1),
                Err(failure) => counter(service, function, door, failure.kind().name()).increment(1),
            }
        });
    });
    called
}

fn counter(service: &dyn Service, function: FunctionId, door: Door, kind: &'static str) -> Counter {
    let (interface, named) = service.schema().function(function);
    let function = format!("{}.{}", interface.name, named.name);
    let plugin = service.plugin().to_owned();
    metrics::counter!(CALLS, "plugin" => plugin, "door" => door.name(), "function" => function, "kind" => kind)
}

thread_local! {
    /// Looking the metrics of a call up by their labels costs as much as the rest of what a door does for it.
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// The metrics of the functions that this thread has called.
#[derive(Default)]
struct Known(HashMap<(*const Schema, FunctionId, Door), Counted>);

struct Counted {
    /// While this is here, no other schema has its address.
    schema: Weak<Schema>,
    plugin: Box<str>,
    seconds: Histogram,
    answered: Counter,
}

impl Known {
    /// After so many new ones, those of generations that are gone are thrown away.
    const SWEEP_EVERY: usize = 256;

    /// Has `count` count one call.
    fn count(
        &mut self,
        service: &dyn Service,
        function: FunctionId,
        door: Door,
        count: impl FnOnce(&Counted),
    ) {
        let plugin = service.plugin();
        let key = (Arc::as_ptr(service.schema()), function, door);
        // Two plugins may be of one component.
        if let Some(counted) = self.0.get(&key)
            && *counted.plugin == *plugin
        {
            return count(counted);
        }
        let counted = Counted {
            schema: Arc::downgrade(service.schema()),
            plugin: plugin.into(),
            seconds: metrics::histogram!(SECONDS, "plugin" => plugin.to_owned(), "door" => door.name()),
            answered: counter(service, function, door, "ok"),
        };
        count(&counted);
        if self.0.len() % Self::SWEEP_EVERY == Self::SWEEP_EVERY - 1 {
            self.0.retain(|_, counted| counted.schema.strong_count() > 0);
        }
        self.0.insert(key, counted);
    }
}

#[cfg(test)]
mod tests {
    use metrics::{Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;
    use crate::testing::fake;
    use crate::tests_demo;

    /// Writes down what is registered.
    #[derive(Default)]
    struct Registered(RefCell<Vec<String>>);

    impl Registered {
        fn note(&self, key: &Key) {
            let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
            self.0.borrow_mut().push(key.name().to_owned() + &labels.collect::<String>());
        }
    }

    impl Recorder for Registered {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.note(key);
            Counter::noop()
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.note(key);
            Gauge::noop()
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.note(key);
            Histogram::noop()
        }
    }

    #[test]
    fn metrics_are_looked_up_once_for_each_function_of_each_plugin() {
        let (registered, schema) = (Registered::default(), tests_demo::schema("1.0.0"));
        let function = FunctionId { interface: 0, function: 0 };
        let (interface, named) = schema.function(function);
        let named = format!("{}.{}", interface.name, named.name);
        let services =
            ["notes", "other"].map(|plugin| fake(plugin, schema.clone(), async |_| Ok(Reply::Value(None))));
        let mut known = Known::default();
        metrics::with_local_recorder(&registered, || {
            for service in &services {
                for _ in 0..3 {
                    known.count(&**service, function, Door::Rest, |_| ());
                }
            }
        });
        let expected = ["notes", "other"].map(|plugin| {
            [
                format!("{SECONDS} plugin={plugin} door=rest"),
                format!("{CALLS} plugin={plugin} door=rest function={named} kind=ok"),
            ]
        });
        assert_eq!(*registered.0.borrow(), expected.concat());
    }

    #[test]
    fn what_is_known_of_generations_that_are_gone_is_thrown_away() {
        let mut known = Known::default();
        let function = FunctionId { interface: 0, function: 0 };
        for _ in 0..10 * Known::SWEEP_EVERY {
            let service = fake("notes", tests_demo::schema("1.0.0"), async |_| Ok(Reply::Value(None)));
            known.count(&*service, function, Door::Rest, |_| ());
            assert!(known.0.len() <= Known::SWEEP_EVERY);
        }
    }
}
