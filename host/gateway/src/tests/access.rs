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

#[tokio::test]
async fn each_request_has_one_line_and_the_private_text_is_only_in_the_log() {
    let (log, mut lines) = mpsc::unbounded_channel();
    let _logging = tracing::subscriber::set_default(Log(log));
    let release = Arc::new(Mutex::new(None));
    let keep = release.clone();
    let host = start(
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
    );

    let trace = "0af7651916cd43dd8448eb211c80319c";
    let answer = host
        .exchange(format!(
            "POST /echo/7?a=b HTTP/1.1\r\nHost: me:80\r\nX-Request-Id: r1\r\nContent-Length: 2\r\nConnection: close\r\n\
             traceparent: 00-{trace}-b7ad6b7169203331-01\r\n\r\nhi"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let line = patiently(lines.recv()).await.unwrap();
    let (before, after) = line.split_once(" duration_us=").unwrap();
    assert_eq!(
        before,
        format!(
            "INFO request_id=r1 trace_id={trace} client=127.0.0.1 method=POST route=/echo/{{x}} plugin=fake \
             host=me:80 path=/echo/7?a=b status=200 request_bytes=2 response_bytes=2"
        )
    );
    assert!(after.ends_with(" protocol=HTTP/1.1 cut=false"), "{after}");

    let answer = host.exchange("GET /fails HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("The plugin failed.") && !answer.contains("foo.rs"), "{answer}");
    let reason = patiently(lines.recv()).await.unwrap();
    assert!(reason.starts_with("WARN ") && reason.contains("private=unreachable at foo.rs:3"), "{reason}");
    let line = patiently(lines.recv()).await.unwrap();
    assert!(line.contains("status=500 kind=guest_trapped") && line.ends_with("cut=false"), "{line}");

    let mut client = host.connect().await;
    client.write_all(b"GET /hangs HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    drop(client);
    let line = patiently(lines.recv()).await.unwrap();
    assert!(line.contains("status=200") && line.ends_with("cut=true"), "{line}");
    assert!(lines.try_recv().is_err(), "one line each");
}
