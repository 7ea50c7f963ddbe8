//! Uses as much of one thing as it is asked to, one thing for each path. README.md lists them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use shared::{clock, query};
use wharf::bindings::wit_stream;
use wharf::{Body, Failure, IntoResponse, Request, Response, Result};

wit_bindgen::generate!({
    inline: "
        package test:glutton;

        world glutton {
            import wasi:random/random@0.2.0;
            import wasi:clocks/monotonic-clock@0.2.0;
        }

        package wasi:random@0.2.0 {
            interface random {
                get-random-bytes: func(len: u64) -> list<u8>;
                get-random-u64: func() -> u64;
            }
        }

        package wasi:io@0.2.0 {
            interface poll {
                resource pollable {
                    ready: func() -> bool;
                    block: func();
                }
                poll: func(in: list<borrow<pollable>>) -> list<u32>;
            }
        }

        package wasi:clocks@0.2.0 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.0.{pollable};
                type instant = u64;
                type duration = u64;
                now: func() -> instant;
                resolution: func() -> duration;
                subscribe-instant: func(when: instant) -> pollable;
                subscribe-duration: func(when: duration) -> pollable;
            }
        }
    ",
    generate_all,
});

use wasi::clocks::monotonic_clock::subscribe_duration;
use wasi::random::random::get_random_bytes;

#[wharf::handler]
async fn glutton(mut request: Request) -> Result<Response> {
    let number = |name: &str| query::number(&request, name, 0);
    let (n, bytes, ms) = (number("n")? as usize, number("bytes")? as usize, number("ms")?);
    match request.uri().path() {
        "/hello" => "hello\n".into_response(),
        "/alloc" => {
            let hoard = black_box(vec![1_u8; bytes]);
            wait(ms).await;
            format!("{} bytes\n", hoard.len()).into_response()
        }
        "/spin" => {
            spin(ms);
            "done\n".into_response()
        }
        "/wait" => {
            wait(ms).await;
            "done\n".into_response()
        }
        "/stream" => stream(&request),
        "/upload" => format!("{} bytes\n", request.body_mut().bytes().await?.len()).into_response(),
        "/body" => vec![b'x'; bytes].into_response(),
        "/headers" => {
            let named = (0..n).map(|n| (format!("x-filler-{n}"), "x".repeat(bytes)));
            let head = named.fold(Response::builder(), |head, (name, value)| head.header(name, value));
            Ok(head.body(Body::from("done\n"))?)
        }
        // Long enough that none is ready, and each stays a resource of the host.
        "/handles" => {
            let held: Vec<_> = (0..n).map(|_| subscribe_duration(1 << 40)).collect();
            format!("{} handles\n", black_box(held).len()).into_response()
        }
        "/streams" => {
            let held: Vec<_> = (0..n).map(|_| wit_stream::new::<u8>()).collect();
            format!("{} streams\n", black_box(held).len()).into_response()
        }
        "/random" => format!("{} bytes\n", get_random_bytes(bytes as u64).len()).into_response(),
        "/print" => {
            (0..n).for_each(|_| println!("{}", "x".repeat(bytes)));
            "done\n".into_response()
        }
        "/recurse" => format!("{}\n", recurse(n)).into_response(),
        _ => Err(Failure::not_found("the glutton does not eat that")),
    }
}

async fn wait(ms: u64) {
    clock::wait(Duration::from_millis(ms)).await;
}

fn spin(ms: u64) {
    let began = Instant::now();
    let mut turns = 0_u64;
    while began.elapsed() < Duration::from_millis(ms) {
        (0..10_000).for_each(|_| turns = black_box(turns.wrapping_add(1)));
    }
}

/// `n` chunks, each `gap` milliseconds after the one before, in which the guest computes for `burn`.
fn stream(request: &Request) -> Result<Response> {
    let [n, gap, burn] = ["n", "gap", "burn"].map(|name| query::number(request, name, 0));
    let (n, gap, burn) = (n?, gap?, burn?);
    let body = Body::stream(move |mut writer| async move {
        for _ in 0..n {
            spin(burn);
            wait(gap).await;
            writer.write("chunk\n").await?;
        }
        Ok(())
    });
    Ok(Response::builder().body(body)?)
}

#[inline(never)]
fn recurse(depth: usize) -> usize {
    let frame = black_box([depth; 16]);
    if depth == 0 { 0 } else { recurse(depth - 1) + black_box(frame[3]) }
}
