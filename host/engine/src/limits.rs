//! `[plugin.NAME.limits]`: what a plugin may use up.

use std::time::Duration;

use wharf_call::{EgressLimits, LimitKey, LimitSet};

/// `[plugin.NAME.limits]`. Each is enforced: what exceeds one is refused, ended or cut, and named. Those in
/// [`Limits::observed`] are counted instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories and tables of one instance together, in bytes. Default 64 MiB; at most
    /// `[engine] memory`.
    pub memory_bytes: u64,
    /// What one call may compute. Waiting is not billed. Default 50 ms, 1 ms to 10 min.
    pub cpu: Duration,
    /// From the admission of a call to the head of its response. Default 5 s, 1 ms to 1 h.
    pub wall: Duration,
    /// Calls at once, those that wait for an instance included. Default what `pool.max` and `pool.queue` let
    /// in; 1 to 1,000,000.
    pub calls: Option<u32>,
    /// The longest silence of a streamed response. Default 60 s, 1 ms to 24 h.
    pub stream_idle: Duration,
    /// From the head of a streamed response to its end. Default 1 h, 1 ms to 168 h.
    pub stream_total: Duration,
    /// What a stream may compute for as long as it lasts, in percent of one core; ten seconds' worth may come
    /// at once. Default 50, 1 to 100.
    pub stream_cpu_percent: u32,
    /// The body of a request, in bytes. Default 16 MiB.
    pub request_body_bytes: u64,
    /// All header fields of a request, in bytes. Default what `[http] header_bytes` lets in.
    pub request_header_bytes: Option<usize>,
    /// How many header fields a request may have. Default what `[http] header_count` lets in.
    pub request_header_count: Option<usize>,
    /// The body of a response, in bytes. Default 1 GiB.
    pub response_body_bytes: u64,
    /// All header fields of a response, in bytes. Default 64 KiB.
    pub response_header_bytes: usize,
    /// How many header fields a response may have. Default 100, 1 to 1,000.
    pub response_header_count: usize,
    /// Resources of the host that one instance may hold at once: bodies, streams, open files, sockets. Default
    /// 10,000, and 256 for a plugin that may open files or sockets.
    pub handles: usize,
    /// Handles to resources, of the host and of its own, within one instance. Default 10,000, 16 to 100,000.
    pub resources: usize,
    /// Streams, futures and tasks of one instance at once. Default 10,000, 16 to 100,000.
    pub streams: usize,
    /// What one call between guest and host may copy out of the guest, in bytes: a whole body, a line, a
    /// value. Default 16 MiB, 64 KiB to 4 GiB.
    pub hostcall_bytes: u64,
    /// The arguments of one typed call, or one item that its caller streams, as the host holds them on their way into the
    /// plugin, in bytes: 64 for every number, text or byte of a `list<u8>`, twice the length of texts and names.
    /// Default 16 MiB, 64 KiB to 1 GiB.
    pub argument_bytes: u64,
    /// Random bytes that one call may ask for. Default 1 MiB, 64 bytes to 16 MiB.
    pub random_bytes: u64,
    /// What the host takes of a stream at a time, in bytes; it keeps two such pieces of each stream at most.
    /// Default 64 KiB, 4 KiB to 1 MiB.
    pub chunk_bytes: usize,
    /// One line of output, in bytes; the rest of a longer one is the next line. Default 4 KiB, 64 bytes
    /// to 64 KiB.
    pub log_line_bytes: usize,
    /// Lines a second that all instances together may write to stdout, stderr and `wasi:logging`. What ten
    /// seconds allow may come at once; more is dropped and counted. Default 100.
    pub log_lines: u32,
    /// What these lines may have, in bytes a second, in the same way. Default 64 KiB, at least 8 KiB.
    pub log_bytes: u64,
    /// What its own requests may use up: the keys that begin with `http_`.
    pub egress: EgressLimits,
    /// The key `observe`: what exceeds these is counted and logged, and passes. Default none.
    pub observed: LimitSet,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory_bytes: 64 << 20,
            cpu: Duration::from_millis(50),
            wall: Duration::from_secs(5),
            calls: None,
            stream_idle: Duration::from_secs(60),
            stream_total: Duration::from_secs(60 * 60),
            stream_cpu_percent: 50,
            request_body_bytes: 16 << 20,
            request_header_bytes: None,
            request_header_count: None,
            response_body_bytes: 1 << 30,
            response_header_bytes: 64 << 10,
            response_header_count: 100,
            handles: 10_000,
            resources: 10_000,
            streams: 10_000,
            hostcall_bytes: 16 << 20,
            argument_bytes: 16 << 20,
            random_bytes: 1 << 20,
            chunk_bytes: 64 << 10,
            log_line_bytes: 4 << 10,
            log_lines: 100,
            log_bytes: 64 << 10,
            egress: EgressLimits::default(),
            observed: LimitSet::EMPTY,
        }
    }
}

impl Limits {
    /// What the plugin has of `key`, in the key's unit. One that is not set is `u64::MAX`.
    pub fn value(&self, key: LimitKey) -> u64 {
        let egress = &self.egress;
        match key {
            LimitKey::Memory => self.memory_bytes,
            LimitKey::Cpu => millis(self.cpu),
            LimitKey::Wall => millis(self.wall),
            LimitKey::Calls => self.calls.map_or(u64::MAX, u64::from),
            LimitKey::StreamIdle => millis(self.stream_idle),
            LimitKey::StreamTotal => millis(self.stream_total),
            LimitKey::StreamCpu => self.stream_cpu_percent.into(),
            LimitKey::RequestBody => self.request_body_bytes,
            LimitKey::RequestHeaders => self.request_header_bytes.map_or(u64::MAX, |bytes| bytes as u64),
            LimitKey::RequestHeaderCount => self.request_header_count.map_or(u64::MAX, |count| count as u64),
            LimitKey::ResponseBody => self.response_body_bytes,
            LimitKey::ResponseHeaders => self.response_header_bytes as u64,
            LimitKey::ResponseHeaderCount => self.response_header_count as u64,
            LimitKey::Handles => self.handles as u64,
            LimitKey::Resources => self.resources as u64,
            LimitKey::Streams => self.streams as u64,
            LimitKey::HostcallBytes => self.hostcall_bytes,
            LimitKey::ArgumentBytes => self.argument_bytes,
            LimitKey::RandomBytes => self.random_bytes,
            LimitKey::ChunkBytes => self.chunk_bytes as u64,
            LimitKey::LogLine => self.log_line_bytes as u64,
            LimitKey::LogLines => self.log_lines.into(),
            LimitKey::LogBytes => self.log_bytes,
            LimitKey::HttpCalls => egress.calls_max as u64,
            LimitKey::HttpConnections => egress.connections_max as u64,
            LimitKey::HttpRequestBody => egress.request_body_bytes_max,
            LimitKey::HttpResponseBody => egress.response_body_bytes_max,
            LimitKey::HttpResponseHeaders => egress.response_header_bytes_max as u64,
            LimitKey::HttpResponseHeaderCount => egress.response_header_count_max as u64,
            LimitKey::HttpIdle => millis(egress.idle_timeout),
        }
    }
}

/// In whole milliseconds, as the manifest has durations.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
