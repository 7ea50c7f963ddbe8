//! Animals of the zoo that are services of `wasi:http` 0.2, one for each path. What each is after, and what must
//! come of it, is in `tests/components/zoo`.

use std::hint::black_box;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::OutputStream;

struct Beast;

wasip2::http::proxy::export!(Beast);

impl Guest for Beast {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match path.as_str() {
            "/hello" => {
                let (body, stream) = begin(out, &[]);
                stream.blocking_write_and_flush(b"good\n").unwrap();
                drop(stream);
                OutgoingBody::finish(body, None).unwrap();
            }
            "/no-answer" => drop(out),
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("x".repeat(1 << 20))))),
            "/forgets-the-body" => drop(begin(out, &[])),
            "/holds-the-body" => {
                let held = begin(out, &[]);
                wasip2::clocks::monotonic_clock::subscribe_duration(1 << 60).block();
                drop(held);
            }
            "/writes-without-leave" => {
                let (_body, stream) = begin(out, &[]);
                let _ = stream.write(&vec![0; 8 << 20]);
            }
            "/writes-for-ever" => {
                let (_body, stream) = begin(out, &[]);
                while stream.blocking_write_and_flush(&[b'x'; 4096]).is_ok() {}
            }
            "/lies-about-the-length" => {
                let (body, stream) = begin(out, &[("content-length", "5")]);
                let _ = stream.blocking_write_and_flush(b"eleven byte");
                drop(stream);
                let _ = OutgoingBody::finish(body, None);
            }
            "/spins-after-the-head" => {
                let _held = begin(out, &[]);
                spin()
            }
            "/traps-after-the-head" => {
                let _held = begin(out, &[]);
                core::arch::wasm32::unreachable()
            }
            "/fields-without-end" => {
                let fields = Fields::new();
                loop {
                    fields.append("x-field", &[b'x'; 1024]).unwrap();
                }
            }
            "/tables-of-fields" => {
                let mut held = Vec::new();
                loop {
                    held.push(Fields::new());
                }
            }
            "/copies-of-fields" => {
                let fields = Fields::new();
                (0..30).for_each(|_| fields.append("x-field", &[b'x'; 1024]).unwrap());
                let mut held = Vec::new();
                loop {
                    held.push(fields.clone());
                }
            }
            "/two-bodies" => {
                let response = OutgoingResponse::new(Fields::new());
                let _first = response.body().unwrap();
                response.body().unwrap();
            }
            other => panic!("what is {other}?"),
        }
    }
}

/// Sends the head.
fn begin(out: ResponseOutparam, fields: &[(&str, &str)]) -> (OutgoingBody, OutputStream) {
    let headers = Fields::new();
    for (name, value) in fields {
        headers.append(name, value.as_bytes()).unwrap();
    }
    let response = OutgoingResponse::new(headers);
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    (body, stream)
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
