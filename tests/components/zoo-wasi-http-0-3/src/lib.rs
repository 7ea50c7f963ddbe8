//! Animals of the zoo that are services of `wasi:http` 0.3, one for each path. What each is after, and what must
//! come of it, is in `tests/components/zoo`.

use std::hint::black_box;

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{StreamWriter, spawn};
use wasip3::{wit_future, wit_stream};

wasip3::http::service::export!(Beast);

struct Beast;

impl wasip3::exports::http::handler::Guest for Beast {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        match path.as_str() {
            "/hello" => Ok(streamed(async |mut body| {
                body.write_all(b"good\n".to_vec()).await;
            })),
            "/never" => loop {
                wait_for(1 << 60).await;
            },
            "/error" => Err(ErrorCode::InternalError(Some("x".repeat(1 << 20)))),
            "/holds-the-body" => Ok(streamed(async |mut body| {
                body.write_all(b"so far so good\n".to_vec()).await;
                wait_for(1 << 60).await;
            })),
            "/writes-for-ever" => {
                Ok(streamed(async |mut body| while body.write_all(vec![b'x'; 64 << 10]).await.is_empty() {}))
            }
            "/forgets-the-trailers" => {
                let (body, reader) = wit_stream::new::<u8>();
                drop(body);
                let (trailers, end) = wit_future::new(|| Ok(None));
                let response = Response::new(Fields::new(), Some(reader), end).0;
                spawn(async move {
                    wait_for(1 << 60).await;
                    drop(trailers);
                });
                Ok(response)
            }
            "/spins-after-the-head" => Ok(streamed(async |mut body| {
                body.write_all(b"so far so good\n".to_vec()).await;
                spin()
            })),
            "/tables-of-fields" => {
                let mut held = Vec::new();
                loop {
                    held.push(Fields::new());
                }
            }
            "/answers-without-end" => {
                let mut held = Vec::new();
                loop {
                    let (_, end) = wit_future::new(|| Ok(None));
                    held.push(Response::new(Fields::new(), None, end));
                }
            }
            other => panic!("what is {other}?"),
        }
    }
}

fn streamed(write: impl AsyncFnOnce(StreamWriter<u8>) + 'static) -> Response {
    let (body, reader) = wit_stream::new();
    let (trailers, end) = wit_future::new(|| Ok(None));
    spawn(async move {
        write(body).await;
        let _ = trailers.write(Ok(None)).await;
    });
    Response::new(Fields::new(), Some(reader), end).0
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
