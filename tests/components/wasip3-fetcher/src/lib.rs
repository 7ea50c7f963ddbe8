//! Calls other services through `wasi:http/client`, as the fields of the request ask for: see `outbound`. It is a
//! `wasi:http` 0.3 service; nothing in it knows of Wharf.

use outbound::{Order, name};
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::spawn;
use wasip3::{wit_future, wit_stream};

wasip3::http::service::export!(Service);

struct Service;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let fields = request.get_headers();
        let order = Order::read(|name| {
            let value = fields.get(name).into_iter().next()?;
            Some(String::from_utf8_lossy(&value).into_owned())
        });
        drop(fields);
        let path = request.get_path_with_query().unwrap_or_default();
        match &*path {
            "/fetch" => Ok(order.send(None).await.unwrap_or_else(|code| refused(&code))),
            "/upload" => {
                let (_received, outcome) = wit_future::new(|| Ok(()));
                let (body, _trailers) = Request::consume_body(request, outcome);
                Ok(order.send(Some(body)).await.unwrap_or_else(|code| refused(&code)))
            }
            "/flood" => Ok(text(order.flood().await)),
            "/endless" => {
                order.endless().await;
                Ok(text(String::new()))
            }
            _ => {
                let response = text(String::new());
                response.set_status_code(404).map_err(|()| ErrorCode::InternalError(None))?;
                Ok(response)
            }
        }
    }
}

fn refused(code: &ErrorCode) -> Response {
    let response = text(format!("{}\n", name(code)));
    let _ = response.set_status_code(502);
    response
}

fn text(text: String) -> Response {
    let (mut writer, body) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    spawn(async move {
        writer.write_all(text.into()).await;
        drop(writer);
        let _ = end.write(Ok(None)).await;
    });
    Response::new(Fields::new(), Some(body), trailers).0
}
