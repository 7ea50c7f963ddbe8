//! What an author without the SDK writes: the handler interface alone, and nothing about a lifecycle.

wit_bindgen::generate!({
    inline: "
        package test:raw-handler;

        world raw-handler {
            export wharf:plugin/handler@0.1.0;
        }
    ",
    path: "../../../wit",
    generate_all,
});

use exports::wharf::plugin::handler::Guest;
use wharf::plugin::types::{Body, Context, Failure, Request, Response};

struct RawHandler;

export!(RawHandler);

impl Guest for RawHandler {
    async fn handle(_request: Request, _context: Context) -> Result<Response, Failure> {
        Ok(Response {
            status: 200,
            headers: vec![("content-type".into(), b"text/plain".to_vec())],
            body: Body::Whole(b"raw\n".to_vec()),
        })
    }
}
