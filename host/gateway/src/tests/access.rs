use std::fmt::Debug;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// Keeps what is logged, as `name=value` in order.
struct Log(mpsc::UnboundedSender<String>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wharf") && *metadata.level() <= tracing::Level::INFO
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let _ = self.0.send(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0 += &format!(" {}={value}", field.name());
    }
}

/// Keeps what is said of each request, in the same channel.
struct Access(mpsc::UnboundedSender<String>);

impl AccessLog for Access {
    fn ended(&self, request: &AccessRecord<'_>) {
        let AccessRecord { client, method, route, plugin, host, path, status, protocol, cut, .. } = *request;
        let (id, trace) = (request.request_id.unwrap_or("-"), request.trace.map(|trace| trace.trace_id));
        let (kind, took) = (request.kind.unwrap_or("-"), request.took > Duration::ZERO);
        let (received, sent) = (request.request_bytes, request.response_bytes);
        let _ = self.0.send(format!(
            "{id} {:032x} {client} {method} {route} {plugin} {host} {path} {status} {kind} {received} {sent} {took} \
             {protocol} cut={cut}",
            trace.unwrap_or_default()
        ));
    }
}

#[tokio::test]
async fn each_request_has_one_line_and_the_private_text_is_only_in_the_log() {
    let (log, mut lines) = mpsc::unbounded_channel();
    let _logging = tracing::subscriber::set_default(Log(log.clone()));
    let release = Arc::new(Mutex::new(None));
    let keep = release.clone();
    let host = start_logged(
        Config::default(),
        vec![
            route("POST", "/echo/{x}", echo),
            route("GET", "/fails", async |_, _| {
                Err(Failure::new(Kind::GuestTrapped, "The plugin failed.")
                    .with_private("unreachable at foo.rs:3"))
            }),
            route("GET", "/hangs", move |_, _| {
                let (sender, receiver) = mpsc::channel(1);
                *keep.lock() = Some(sender);
                async { Ok(Response::new(Body::stream(Fed(receiver)))) }
            }),
        ],
        Some(Arc::new(Access(log))),
    );

    let trace = "0af7651916cd43dd8448eb211c80319c";
    let answer = host
        .exchange(format!(
            "POST /echo/7?a=b HTTP/1.1\r\nHost: me:80\r\nX-Request-Id: r1\r\nContent-Length: 2\r\nConnection: close\r\n\
             traceparent: 00-{trace}-b7ad6b7169203331-01\r\n\r\nhi"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(
        patiently(lines.recv()).await.unwrap(),
        format!(
            "r1 {trace} 127.0.0.1 POST /echo/{{x}} fake me:80 /echo/7?a=b 200 - 2 2 true HTTP/1.1 cut=false"
        )
    );

    let answer = host.exchange("GET /fails HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("The plugin failed.") && !answer.contains("foo.rs"), "{answer}");
    let reason = patiently(lines.recv()).await.unwrap();
    assert!(reason.starts_with("WARN ") && reason.contains("private=unreachable at foo.rs:3"), "{reason}");
    let line = patiently(lines.recv()).await.unwrap();
    assert!(line.contains(" /fails 500 guest_trapped ") && line.ends_with("cut=false"), "{line}");

    let mut client = host.connect().await;
    client.write_all(b"GET /hangs HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    drop(client);
    let line = patiently(lines.recv()).await.unwrap();
    assert!(line.contains(" /hangs 200 - ") && line.ends_with("cut=true"), "{line}");
    assert!(lines.try_recv().is_err(), "one line each");
}
