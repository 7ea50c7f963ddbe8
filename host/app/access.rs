//! What an access line says, in its order.

use std::str;

use wharf_call::{AccessLog, AccessRecord};
use wharf_telemetry::name;

/// Access lines of the process's log.
pub(crate) struct AccessLines(pub(crate) wharf_telemetry::AccessLog);

impl AccessLog for AccessLines {
    fn ended(&self, request: &AccessRecord<'_>) {
        self.0.write(|line| {
            line.plain_column(name!("method"), request.method);
            line.column(name!("path"), request.path);
            line.number_column(name!("status"), request.status.into());
            line.duration_column(name!("duration_us"), request.took);
            line.column(name!("plugin"), request.plugin);
            if let Some(id) = request.request_id {
                line.field(name!("request_id"), id);
            }
            if let Some(digits) = request.trace.map(|trace| trace.trace_id_hex()) {
                line.plain(name!("trace_id"), str::from_utf8(&digits).unwrap_or_default());
            }
            line.plain(name!("client"), request.client);
            line.field(name!("route"), request.route);
            line.field(name!("host"), request.host);
            if let Some(kind) = request.kind {
                line.field(name!("kind"), kind);
            }
            line.number(name!("request_bytes"), request.request_bytes);
            line.number(name!("response_bytes"), request.response_bytes);
            line.plain(name!("protocol"), request.protocol);
            line.flag(name!("cut"), request.cut);
        });
    }
}
