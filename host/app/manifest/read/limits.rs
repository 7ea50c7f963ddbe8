use wharf_call::units::show_size;
use wharf_call::{EgressLimits, LimitKey, LimitSet};
use wharf_engine::{Grants, Limits};

use super::number;
use super::plugin::Ceilings;
use crate::manifest::section::{Found, Problems, Section};
use wharf_call::suggest::nearest;

/// `[plugin.NAME.limits]`.
pub(super) fn read_limits(
    problems: &mut Problems<'_>,
    limits: &Section<'_>,
    ceilings: &Ceilings<'_>,
    grants: &Grants,
) -> Limits {
    let default = Limits::default();
    let (engine, http) = (ceilings.engine, ceilings.http);
    let p = problems;
    let memory = Ceiling { key: "memory", section: "engine", its: "memory", max: engine.memory_bytes_max };
    let body = Ceiling { key: "request_body", section: "http", its: "body_bytes", max: http.body_bytes_max };
    let headers = Ceiling {
        key: "request_headers",
        section: "http",
        its: "header_bytes",
        max: http.header_bytes_max as u64,
    };
    let count = Ceiling {
        key: "request_header_count",
        section: "http",
        its: "header_count",
        max: http.header_count_max as u64,
    };
    Limits {
        memory_bytes: number(memory.size(p, limits), default.memory_bytes.min(memory.max)),
        cpu: limits.duration(p, "cpu").unwrap_or(default.cpu),
        wall: limits.duration(p, "wall").unwrap_or(default.wall),
        calls: optional(limits.count(p, "calls")),
        stream_idle: limits.duration(p, "stream_idle").unwrap_or(default.stream_idle),
        stream_total: limits.duration(p, "stream_total").unwrap_or(default.stream_total),
        stream_cpu_percent: number(limits.count(p, "stream_cpu"), default.stream_cpu_percent),
        request_body_bytes: number(body.size(p, limits), default.request_body_bytes.min(body.max)),
        request_header_bytes: optional(headers.size(p, limits)),
        request_header_count: optional(count.count(p, limits)),
        response_body_bytes: number(limits.size(p, "response_body"), default.response_body_bytes),
        response_header_bytes: number(limits.size(p, "response_headers"), default.response_header_bytes),
        response_header_count: number(
            limits.count(p, "response_header_count"),
            default.response_header_count,
        ),
        handles: number(
            limits.count(p, "handles"),
            // Each may be a file or a socket, of which a process has so many.
            if grants.dirs.dirs.is_empty() && grants.tcp.peers.is_empty() { default.handles } else { 256 },
        ),
        resources: number(limits.count(p, "resources"), default.resources),
        streams: number(limits.count(p, "streams"), default.streams),
        hostcall_bytes: number(limits.size(p, "hostcall_bytes"), default.hostcall_bytes),
        argument_bytes: number(limits.size(p, "argument_bytes"), default.argument_bytes),
        random_bytes: number(limits.size(p, "random_bytes"), default.random_bytes),
        chunk_bytes: number(limits.size(p, "chunk_bytes"), default.chunk_bytes),
        log_line_bytes: number(limits.size(p, "log_line"), default.log_line_bytes),
        log_lines: number(limits.count(p, "log_lines"), default.log_lines),
        log_bytes: number(limits.size(p, "log_bytes"), default.log_bytes),
        egress: read_egress_limits(p, limits),
        observed: read_observed(p, limits),
    }
}

/// The keys that begin with `http_`.
fn read_egress_limits(problems: &mut Problems<'_>, limits: &Section<'_>) -> EgressLimits {
    let default = EgressLimits::default();
    let p = problems;
    EgressLimits {
        calls_max: number(limits.count(p, "http_calls"), default.calls_max),
        connections_max: number(limits.count(p, "http_connections"), default.connections_max),
        response_header_bytes_max: number(
            limits.size(p, "http_response_headers"),
            default.response_header_bytes_max,
        ),
        response_header_count_max: number(
            limits.count(p, "http_response_header_count"),
            default.response_header_count_max,
        ),
        request_body_bytes_max: number(limits.size(p, "http_request_body"), default.request_body_bytes_max),
        response_body_bytes_max: number(
            limits.size(p, "http_response_body"),
            default.response_body_bytes_max,
        ),
        idle_timeout: limits.duration(p, "http_idle").unwrap_or(default.idle_timeout),
    }
}

/// `observe`: names of keys beside it.
fn read_observed(problems: &mut Problems<'_>, limits: &Section<'_>) -> LimitSet {
    let mut observed = LimitSet::EMPTY;
    let names = limits.texts(problems, "observe").map(|found| found.value).unwrap_or_default();
    for Found { value: name, at } in names {
        let Some(key) = LimitKey::from_name(&name) else {
            let observable = LimitKey::ALL.iter().filter(|key| key.unobservable().is_none());
            let known: Vec<_> = observable.map(|key| key.name()).collect();
            let near = nearest(&name, known.iter().copied());
            let problem = problems.error(&at, format!("`observe` has {name:?}, which is not a limit"));
            match near {
                Some(near) => problem.help("did you mean").write(format!("observe = [{near:?}]")),
                None => problem.help(format!("the limits that can be observed are {}", known.join(", "))),
            };
            continue;
        };
        match key.unobservable() {
            None => observed = observed.with(key),
            Some(why) => {
                let message = format!("`{name}` cannot be observed: it {why}");
                problems.error(&at, message).help("take it out of `observe`; it is enforced");
            }
        }
    }
    observed
}

fn optional<T: TryFrom<u64>>(found: Option<Found<u64>>) -> Option<T> {
    found.and_then(|found| T::try_from(found.value).ok())
}

/// A key that must not be more than one of the host's.
struct Ceiling {
    key: &'static str,
    section: &'static str,
    its: &'static str,
    max: u64,
}

impl Ceiling {
    fn size(&self, problems: &mut Problems<'_>, limits: &Section<'_>) -> Option<Found<u64>> {
        let found = limits.size(problems, self.key);
        self.check(problems, found.as_ref(), show_size, |bytes| format!("{:?}", show_size(bytes)));
        found
    }

    fn count(&self, problems: &mut Problems<'_>, limits: &Section<'_>) -> Option<Found<u64>> {
        let found = limits.count(problems, self.key);
        self.check(problems, found.as_ref(), |count| count.to_string(), |count| count.to_string());
        found
    }

    fn check(
        &self,
        problems: &mut Problems<'_>,
        found: Option<&Found<u64>>,
        show: fn(u64) -> String,
        write: fn(u64) -> String,
    ) {
        let Some(Found { value, at }) = found.filter(|found| found.value > self.max) else { return };
        let Ceiling { key, section, its, max } = self;
        let (value, max) = (*value, show(*max));
        let message = match *key {
            "memory" => {
                format!(
                    "`memory` is {}, more than the ceiling of every plugin, {max} ([engine] memory)",
                    show(value)
                )
            }
            "request_body" => {
                format!(
                    "`request_body` is {}, but no request is larger than {max} ([http] body_bytes)",
                    show(value)
                )
            }
            _ => {
                format!("`{key}` is {}, but no request has more than {max} ([{section}] {its})", show(value))
            }
        };
        let help = match *section {
            "engine" => "lower it, or raise the ceiling, which needs a restart of a running host",
            _ => "lower it, or let larger requests in",
        };
        problems
            .error(at, message)
            .help(help)
            .write(format!("[{section}]"))
            .write(format!("{its} = {}", write(value)));
    }
}
