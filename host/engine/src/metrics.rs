//! What the engine counts. Labels come from the manifest and from closed lists, never from a request.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use wharf_call::ports::GenerationStatus;
use wharf_call::{Kind, LimitAction};

/// Tells the recorder what each metric means.
pub(crate) fn describe() {
    describe_counter!("wharf_plugin_calls_total", "Calls that a plugin has begun");
    describe_counter!(
        "wharf_plugin_instances_made_total",
        "Instances that were made, for a call or ahead of one"
    );
    describe_counter!(
        "wharf_plugin_called_again_total",
        "Calls made once more, because another call had ended the instance that they shared"
    );
    describe_histogram!(
        "wharf_plugin_cold_start_seconds",
        "What calls waited for an instance to be made, because none was idle"
    );
    describe_counter!(
        "wharf_plugin_instances_poisoned_total",
        "Instances dropped because their call did not end well"
    );
    describe_counter!(
        "wharf_plugin_ended_total",
        "Calls that the host ended, by kind of failure: traps among them"
    );
    describe_counter!(
        "wharf_plugin_refused_total",
        "Host calls of a plugin that were refused: not granted, or over a quota"
    );
    describe_counter!(
        "wharf_plugin_limit_exceeded_total",
        "What exceeded a limit of a plugin, by limit and by what became of it: refused, or observed"
    );
    describe_counter!(
        "wharf_plugin_log_lines_dropped_total",
        "Lines that a plugin wrote beyond limits.log_lines or limits.log_bytes"
    );
    describe_gauge!("wharf_plugin_instances", "Instances of the serving generation, idle or working");
    describe_gauge!("wharf_plugin_instances_idle", "Instances of the serving generation that nobody uses");
    describe_gauge!("wharf_plugin_waiting", "Calls that wait for an instance of the serving generation");
    describe_gauge!("wharf_plugin_degraded", "1 while a plugin that only crashes is held back");
    describe_gauge!("wharf_plugin_in_flight", "Calls in flight in the serving generation");
    describe_gauge!("wharf_plugin_generation", "The number of the serving generation");
    describe_counter!("wharf_plugin_loads_total", "Attempts to load a generation, by outcome");
    describe_counter!(
        "wharf_plugin_core_dumps_total",
        "Core dumps of a plugin, by outcome: written, or skipped"
    );
    describe_counter!(
        "wharf_compile_total",
        "Components to be made ready, by outcome: compiled, cached, or refused"
    );
    describe_histogram!("wharf_compile_seconds", "How long compiling a component took");
}

/// The metrics of one plugin, looked up once for a generation.
pub(crate) struct PluginMetrics {
    plugin: String,
    pub(crate) calls: Counter,
    pub(crate) made: Counter,
    pub(crate) poisoned: Counter,
    pub(crate) called_again: Counter,
    cold_starts: Histogram,
}

impl PluginMetrics {
    pub(crate) fn new(plugin: &str) -> Self {
        let plugin = plugin.to_owned();
        PluginMetrics {
            calls: counter!("wharf_plugin_calls_total", "plugin" => plugin.clone()),
            made: counter!("wharf_plugin_instances_made_total", "plugin" => plugin.clone()),
            poisoned: counter!("wharf_plugin_instances_poisoned_total", "plugin" => plugin.clone()),
            called_again: counter!("wharf_plugin_called_again_total", "plugin" => plugin.clone()),
            cold_starts: histogram!("wharf_plugin_cold_start_seconds", "plugin" => plugin.clone()),
            plugin,
        }
    }

    /// A call waited for an instance to be made.
    pub(crate) fn cold_start(&self, took: Duration) {
        self.cold_starts.record(took.as_secs_f64());
    }

    /// The host ended a call.
    pub(crate) fn ended(&self, kind: Kind) {
        counter!("wharf_plugin_ended_total", "plugin" => self.plugin.clone(), "kind" => kind.name())
            .increment(1);
    }
}

/// An attempt to load a generation came to an end.
pub(crate) fn loaded(plugin: &str, outcome: &'static str) {
    counter!("wharf_plugin_loads_total", "plugin" => plugin.to_owned(), "outcome" => outcome).increment(1);
}

/// A host call of a plugin was refused; `reason` is of a closed list.
pub(crate) fn refused(plugin: &str, reason: &'static str) {
    counter!("wharf_plugin_refused_total", "plugin" => plugin.to_owned(), "reason" => reason).increment(1);
}

/// Something exceeded a limit; `limit` is a key of the manifest.
pub(crate) fn limit_exceeded(plugin: &str, limit: &'static str, action: LimitAction) {
    let labels =
        [("plugin", plugin.to_owned()), ("limit", limit.to_owned()), ("action", action.name().to_owned())];
    counter!("wharf_plugin_limit_exceeded_total", &labels).increment(1);
}

/// A line of a plugin was over its limits.
pub(crate) fn log_line_dropped(plugin: &str) {
    counter!("wharf_plugin_log_lines_dropped_total", "plugin" => plugin.to_owned()).increment(1);
}

/// The gauges of a plugin, set when they are read.
pub(crate) fn serving(plugin: &str, serving: &GenerationStatus, idle: usize, waiting: u32) {
    let set = |gauge: Gauge, value: u64| gauge.set(value as f64);
    set(gauge!("wharf_plugin_generation", "plugin" => plugin.to_owned()), serving.generation);
    set(gauge!("wharf_plugin_instances", "plugin" => plugin.to_owned()), serving.instances);
    set(gauge!("wharf_plugin_instances_idle", "plugin" => plugin.to_owned()), idle as u64);
    set(gauge!("wharf_plugin_waiting", "plugin" => plugin.to_owned()), waiting.into());
    set(gauge!("wharf_plugin_in_flight", "plugin" => plugin.to_owned()), serving.in_flight);
    set(gauge!("wharf_plugin_degraded", "plugin" => plugin.to_owned()), serving.degraded.is_some().into());
}

/// A guest has trapped that wants a core dump.
pub(crate) fn core_dump(plugin: &str, outcome: &'static str) {
    counter!("wharf_plugin_core_dumps_total", "plugin" => plugin.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// A component was compiled.
pub(crate) fn compiled(took: Duration) {
    counter!("wharf_compile_total", "outcome" => "compiled").increment(1);
    histogram!("wharf_compile_seconds").record(took.as_secs_f64());
}

/// A component was taken from the cache.
pub(crate) fn cached() {
    counter!("wharf_compile_total", "outcome" => "cached").increment(1);
}

/// A component was not compiled: there was something wrong with it, or it took too much.
pub(crate) fn not_compiled() {
    counter!("wharf_compile_total", "outcome" => "refused").increment(1);
}
