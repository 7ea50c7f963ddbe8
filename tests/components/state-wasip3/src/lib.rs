//! Keeps values, reads its configuration and logs, as a `wasi:http` 0.3 service: nothing in it knows of Wharf.

use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::wit_bindgen::{StreamResult, spawn};
use wasip3::{wit_future, wit_stream};

wasip3::http::service::export!(Service);

struct Service;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let method = match request.get_method() {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            _ => "",
        };
        let body = read(request).await?;
        let answer = shared_state::answer(shared_state::Request { method, target: &target, body });
        respond(answer.status, answer.body)
    }
}

async fn read(request: Request) -> Result<Vec<u8>, ErrorCode> {
    let (_received, outcome) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = Request::consume_body(request, outcome);
    let mut body = Vec::new();
    loop {
        let (status, chunk) = stream.read(Vec::with_capacity(64 << 10)).await;
        body.extend(chunk);
        if status == StreamResult::Dropped {
            break;
        }
    }
    trailers.await?;
    Ok(body)
}

fn respond(status: u16, body: Vec<u8>) -> Result<Response, ErrorCode> {
    let (mut writer, stream) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    spawn(async move {
        writer.write_all(body).await;
        drop(writer);
        let _ = end.write(Ok(None)).await;
    });
    let response = Response::new(Fields::new(), Some(stream), trailers).0;
    response.set_status_code(status).map_err(|()| ErrorCode::InternalError(None))?;
    Ok(response)
}
