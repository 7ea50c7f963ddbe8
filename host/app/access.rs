//! What an access line says, in its order.

use std::str;

use wharf_call::{AccessLog, AccessRecord};

/// Access lines of the process's log.
pub(crate) struct AccessLines(pub(crate) wharf_telemetry::AccessLog);

impl AccessLog for AccessLines {
    fn ended(&self, request: &AccessRecord<'_>) {
        self.0.write(|line| {
            line.column("method", request.method);
            line.column("path", request.path);
            line.number_column("status", request.status.into());
            line.duration_column("duration_us", request.took);
            line.column("plugin", request.plugin);
            if let Some(id) = request.request_id {
                line.field("request_id", id);
            }
            if let Some(digits) = request.trace.map(|trace| trace.trace_id_hex()) {
                line.field("trace_id", str::from_utf8(&digits).unwrap_or_default());
            }
            line.field("client", request.client);
            line.field("route", request.route);
            line.field("host", request.host);
            if let Some(kind) = request.kind {
                line.field("kind", kind);
            }
            line.number("request_bytes", request.request_bytes);
            line.number("response_bytes", request.response_bytes);
            line.field("protocol", request.protocol);
            line.flag("cut", request.cut);
        });
    }
}
