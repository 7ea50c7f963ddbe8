//! Components that were built with other people's SDKs for wasi:http run unchanged, at any size.

use bytes::Bytes;
use wharf_harness::{Answer, Host, Protocol, chunked, empty, process, request, run, run_alone, upload};

use crate::{everything, host};

/// `wstd` for wasi:http 0.2 and `wasip3` for 0.3.
const FOREIGN: [&str; 2] = ["{{wstd-http}}", "{{wasip3-http}}"];

/// The same with a handler of our own world, which must do as well.
const ALL: [&str; 3] = ["{{kitchen}}", "{{wstd-http}}", "{{wasip3-http}}"];

/// What one large body may have, and how long a debug build may compute on it.
const LARGE: &str = r#"
    [http]
    body_bytes = "200MiB"

    [plugin.guest.limits]
    cpu = "60s"
    wall = "60s"
    request_body = "200MiB"
    response_body = "200MiB"
"#;

const MIB: usize = 1 << 20;

async fn start(component: &str) -> Host {
    host(&(everything(component) + LARGE)).start().await
}

#[test]
fn it_answers() {
    run(async {
        for component in FOREIGN {
            let host = start(component).await;
            for protocol in Protocol::ALL {
                let answer =
                    host.connect(protocol).await.answer(request("GET", "/", empty())).await.expect(200);
                assert!(!answer.body.is_empty(), "{component}: {answer:?}");
            }
        }
    });
}

#[test]
fn it_finds_its_place_in_the_trace_among_the_header_fields() {
    run(async {
        for component in FOREIGN {
            let host = start(component).await;
            let trace = "0af7651916cd43dd8448eb211c80319c";
            let mut asked = request("GET", "/traceparent", empty());
            let sent = format!("00-{trace}-b7ad6b7169203331-01");
            asked.headers_mut().insert("traceparent", sent.parse().unwrap());
            let answer = host.send(asked).await.expect(200);
            let seen = answer.text();
            assert!(seen.starts_with(&format!("00-{trace}-")) && seen.len() == 55, "{component}: {seen:?}");
            assert_ne!(seen, sent, "the guest's parent is the host's span");
        }
    });
}

#[test]
fn a_posted_body_comes_back_whole_and_in_chunks() {
    run(async {
        for component in ALL {
            let host = start(component).await;
            for protocol in Protocol::ALL {
                let mut client = host.connect(protocol).await;
                // Nothing, a little, just under and over what is handed over whole, and much.
                for size in [0, 14, 65_536, 65_537, 3 * MIB] {
                    let bytes: Bytes = (0..size).map(|i| (i % 251) as u8).collect();
                    let whole = request("POST", "/echo", wharf_harness::body(bytes.clone()));
                    let answer = client.answer(whole).await.expect(200);
                    assert!(
                        answer.body == bytes,
                        "{component}, {protocol:?}: {size} bytes came back different"
                    );
                }
                let answer = client
                    .answer(request("POST", "/echo", chunked("ab".repeat(500).into(), 100)))
                    .await
                    .expect(200);
                assert!(
                    answer.body == "ab".repeat(50_000),
                    "{component}, {protocol:?}: chunks came back different"
                );
            }
        }
    });
}

#[test]
fn an_echo_answers_while_it_is_still_being_sent() {
    run(async {
        for component in ALL {
            let host = start(component).await;
            for protocol in Protocol::ALL {
                let mut client = host.connect(protocol).await;
                let (upload, body) = upload();
                let first = Bytes::from(vec![b'a'; 100_000]);
                let (response, ()) =
                    tokio::join!(client.send(request("POST", "/echo", body)), upload.send(first));
                let response = response.unwrap();
                assert_eq!(response.status(), 200, "{component}, {protocol:?}");
                upload.send("the end").await;
                drop(upload);
                let answer = Answer::read(response).await.expect(200);
                assert_eq!(answer.body.len(), 100_007);
                assert!(answer.body.ends_with(b"athe end"));
            }
        }
    });
}

#[test]
fn a_stream_that_the_guest_cuts_is_seen_as_cut() {
    run(async {
        for component in ALL {
            let host = start(component).await;
            for protocol in Protocol::ALL {
                // HTTP/1 may break before the head has been read, which is a cut as well.
                let answer = host.connect(protocol).await.try_answer(request("GET", "/cut", empty())).await;
                if let Ok(answer) = answer {
                    assert_eq!(answer.status, 200, "{component}, {protocol:?}: {answer:?}");
                    assert!(answer.cut.is_some(), "{component}, {protocol:?}: seen as complete: {answer:?}");
                }
                host.get("/upload").await.expect(200);
            }
        }
    });
}

#[test]
fn a_trap_costs_its_own_request_only() {
    run(async {
        for component in FOREIGN {
            let host = start(component).await;
            host.get("/trap").await.expect_problem(500, "guest_trapped");
            host.get("/").await.expect(200);
        }
    });
}

#[test]
fn a_hundred_megabytes_pass_through_a_guest_in_each_direction_with_flat_memory() {
    const SIZE: usize = 100 * MIB;
    run_alone(std::time::Duration::from_secs(300), async {
        for component in ALL {
            let host = start(component).await;
            // The first of each warms the host up.
            for size in [MIB, SIZE] {
                let before = process::rss_bytes(host.pid());
                let chunk = Bytes::from(vec![b'x'; 65_536]);
                let body = chunked(chunk, size / 65_536);
                let answer = host.send(request("POST", "/upload", body)).await.expect(200);
                assert!(answer.text().contains(&size.to_string()), "{component}: {answer:?}");

                let mut client = host.connect(Protocol::Http1).await;
                let path = format!("/download?bytes={size}");
                let response = client.send(request("GET", &path, empty())).await.unwrap();
                assert_eq!(count(response).await, size, "{component}");

                let grown = process::rss_bytes_max(host.pid()).saturating_sub(before);
                assert!(grown < 48 * MIB as u64 || size < SIZE, "{component}: memory grew by {grown} bytes");
            }
        }
    });
}

/// How many bytes a body has, without keeping them.
async fn count(response: http::Response<hyper::body::Incoming>) -> usize {
    use http_body_util::BodyExt;
    let mut body = response.into_body();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        size += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    size
}
