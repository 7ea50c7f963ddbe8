//! Does everything that a plugin must not do, one thing for each path. README.md lists them.
//!
//! It implements the bindings directly: the types of the SDK refuse most of this.

use std::time::Duration;

use shared::clock;
use wharf::bindings::exports::wharf::plugin::{handler, lifecycle};
use wharf::bindings::wharf::plugin::types::{Body, Context, Failure, Fields, Request, Response};
use wharf::bindings::wit_stream;

struct Rogue;

wharf::bindings::export_handler_plugin!(Rogue with_types_in wharf::bindings);

impl lifecycle::Guest for Rogue {
    async fn start() -> Result<(), Failure> {
        Ok(())
    }

    async fn health() -> Result<(), Failure> {
        Ok(())
    }

    async fn stop() {}
}

impl handler::Guest for Rogue {
    async fn handle(request: Request, _context: Context) -> Result<Response, Failure> {
        let (path, query) = request.path_with_query.split_once('?').unwrap_or((&request.path_with_query, ""));
        match path {
            "/hello" => Ok(whole(200, vec![], "hello\n")),
            "/trap" => deep::detonate(),
            "/panic" => panic!("the rogue panics"),
            "/spin" => deep::spin(),
            "/alloc" => deep::hoard(),
            "/wait" => {
                clock::wait(Duration::from_millis(query.parse().unwrap_or(0))).await;
                Ok(whole(200, vec![], "waited\n"))
            }
            "/never" => {
                clock::wait_forever().await;
                Ok(whole(200, vec![], "at last\n"))
            }
            "/deadlock" => deadlock().await,
            "/bad-status" => Ok(whole(42, vec![], "")),
            "/bad-header-name" => Ok(whole(200, field("bad name", "x"), "")),
            "/bad-header-value" => Ok(whole(200, field("x-evil", "a\r\nx-smuggled: 1"), "")),
            "/length-lies" => Ok(whole(200, field("content-length", "5"), "eleven byte")),
            "/length-lies-in-stream" => Ok(length_lies_in_stream()),
            "/huge-headers" => Ok(whole(200, huge_headers(), "")),
            "/huge-body" => Ok(huge_body(query)),
            "/spin-in-stream" => Ok(streamed(After::Spin)),
            "/trap-in-stream" => Ok(streamed(After::Trap)),
            "/silent-stream" => Ok(streamed(After::Silence)),
            _ => Err(Failure {
                kind: "not_found".into(),
                message: "the rogue does not do that".into(),
                details: None,
            }),
        }
    }
}

/// Functions of their own, whose names tests look for in backtraces.
mod deep {
    use std::hint::black_box;

    #[inline(never)]
    pub fn detonate() -> ! {
        core::arch::wasm32::unreachable()
    }

    #[inline(never)]
    pub fn spin() -> ! {
        let mut turns = 0_u64;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }

    /// Every page is written, so that it is really there.
    #[inline(never)]
    pub fn hoard() -> ! {
        let mut hoard = Vec::new();
        loop {
            hoard.push(black_box(vec![1_u8; 1 << 20]));
        }
    }
}

/// Reads a stream whose only writer is this very task: nothing in the whole system can wake it.
async fn deadlock() -> Result<Response, Failure> {
    let (_writer, mut reader) = wit_stream::new::<u8>();
    reader.next().await;
    Ok(whole(200, vec![], "the impossible\n"))
}

fn huge_headers() -> Fields {
    (0..1_024).map(|n| (format!("x-filler-{n}"), vec![b'x'; 1_024])).collect()
}

fn huge_body(query: &str) -> Response {
    let bytes = query.strip_prefix("bytes=").and_then(|text| text.parse().ok()).unwrap_or(1 << 20);
    Response { status: 200, headers: vec![], body: Body::Whole(vec![b'x'; bytes]) }
}

fn length_lies_in_stream() -> Response {
    let body = wharf::Body::stream(|mut writer| async move {
        writer.write("eleven byte").await?;
        Ok(())
    });
    Response { status: 200, headers: field("content-length", "5"), body: body.into() }
}

enum After {
    Spin,
    Trap,
    Silence,
}

/// The head and one chunk, and then something worse than an end.
fn streamed(after: After) -> Response {
    let body = wharf::Body::stream(|mut writer| async move {
        writer.write("so far so good\n").await?;
        match after {
            After::Spin => deep::spin(),
            After::Trap => deep::detonate(),
            After::Silence => clock::wait_forever().await,
        }
        Ok(())
    });
    Response { status: 200, headers: vec![], body: body.into() }
}

fn whole(status: u16, headers: Fields, body: &str) -> Response {
    Response { status, headers, body: Body::Whole(body.into()) }
}

fn field(name: &str, value: &str) -> Fields {
    vec![(name.to_owned(), value.into())]
}
