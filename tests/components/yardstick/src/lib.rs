//! What benchmarks measure: bodies in one direction or in both, and an instance that touches memory as it starts.

wit_bindgen::generate!({
    inline: "
        package test:yardstick;

        world yardstick {
            export wharf:plugin/handler@0.1.0;
            export wharf:plugin/lifecycle@0.1.0;
        }
    ",
    path: "../../../wit",
    generate_all,
});

use std::hint::black_box;

use exports::wharf::plugin::{handler, lifecycle};
use wharf::plugin::types::{Body, Context, Failure, Request, Response};

struct Yardstick;

export!(Yardstick);

/// What `start` writes to, a page at a time.
const TOUCHED: usize = 64 << 10;
const PAGE: usize = 4 << 10;

impl lifecycle::Guest for Yardstick {
    async fn start() -> Result<(), Failure> {
        let mut memory: Vec<u8> = Vec::with_capacity(TOUCHED);
        for page in memory.spare_capacity_mut().chunks_mut(PAGE) {
            page[0].write(1);
        }
        // An instance that serves keeps what it has made at its start.
        black_box(memory.leak());
        Ok(())
    }

    async fn health() -> Result<(), Failure> {
        Ok(())
    }

    async fn stop() {}
}

impl handler::Guest for Yardstick {
    async fn handle(request: Request, _context: Context) -> Result<Response, Failure> {
        let body = match request.path_with_query.as_str() {
            "/sink" => Body::Empty,
            "/echo" => request.body,
            path => match path.strip_prefix("/source/").and_then(|bytes| bytes.parse().ok()) {
                Some(bytes) => Body::Whole(vec![b'x'; bytes]),
                None => return Err(failure()),
            },
        };
        Ok(Response { status: 200, headers: vec![], body })
    }
}

fn failure() -> Failure {
    Failure { kind: "not_found".into(), message: "the yardstick has no such mark".into(), details: None }
}
