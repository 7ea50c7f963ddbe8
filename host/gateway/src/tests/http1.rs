use super::*;

#[tokio::test]
async fn a_request_reaches_the_plugin_as_it_was_understood() {
    let (sender, mut seen) = mpsc::channel(1);
    let host = start(
        Config::default(),
        vec![route("", "/a/{x}/{*rest}", move |request, invocation| {
            let sender = sender.clone();
            async move {
                sender.send((request, invocation)).await.unwrap();
                Ok(Response::new(Body::Empty))
            }
        })],
    );
    let answer = host
        .exchange(
            "POST http://LocalHost:80/a//b%2fc/./%7Ed?q=%zz HTTP/1.1\r\nHost: localhost:80\r\n\
             X-Request-Id: my-id\r\nX-Request-Id: other\r\nConnection: close, x-mine\r\nX-Mine: 1\r\nTE: trailers\r\n\
             Keep-Alive: 5\r\nX-Forwarded-For: 1.2.3.4\r\n\
             traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b\r\n\
             Content-Length: 2\r\n\r\nhi",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-request-id: my-id\r\n"), "{answer}");
    let (request, invocation) = seen.recv().await.unwrap();
    assert_eq!(request.uri(), "/a/b%2Fc/~d?q=%zz");
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "host", "tracestate", "x-forwarded-for"]);
    assert_eq!(invocation.trace.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    assert_ne!(invocation.trace.span_id, 0xb7ad_6b71_6920_3331);
    assert_eq!(invocation.trace.flags, 1);
    assert_eq!(invocation.request_id.as_str(), "my-id");
    assert_eq!(&*invocation.route, "/a/{x}/{*rest}");
    let params: Vec<_> = invocation.params.iter().map(|(name, value)| (&**name, value.as_str())).collect();
    assert_eq!(params, [("x", "b/c"), ("rest", "~d")]);
    assert!(matches!(request.into_body(), Body::Whole(bytes) if bytes == "hi"));
}

#[tokio::test]
async fn an_invalid_trace_is_started_anew_without_its_state() {
    let host = start(
        Config::default(),
        vec![route("", "/", async |request: Request<Body>, invocation: Invocation| {
            assert!(!request.headers().contains_key("tracestate"));
            assert!(!request.headers().contains_key("traceparent"));
            Ok(Response::new(Body::whole(invocation.trace.to_string())))
        })],
    );
    let answer = host
        .exchange("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: nonsense\r\ntracestate: a=b\r\nConnection: close\r\n\r\n")
        .await;
    let trace = answer.rsplit("\r\n\r\n").next().unwrap();
    assert!(wharf_call::TraceContext::parse(trace.as_bytes()).is_some(), "{answer}");
}

#[tokio::test]
async fn head_is_served_by_the_get_route_without_its_body() {
    let host = start(
        Config::default(),
        vec![route("GET", "/", async |request: Request<Body>, _| {
            assert_eq!(request.method(), "HEAD");
            Ok(Response::new(Body::whole("hello")))
        })],
    );
    let answer = host.exchange("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("content-length: 5\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn options_and_405_list_the_methods() {
    let host = start(Config::default(), vec![route("GET,PUT", "/", echo)]);
    for (request, status) in [
        ("OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "204"),
        ("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "405"),
    ] {
        let answer = host.exchange(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("allow: GET, HEAD, OPTIONS, PUT\r\n"), "{answer}");
    }
    let answer = host.exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test]
async fn each_event_of_a_stream_leaves_at_once() {
    let (sender, receiver) = mpsc::channel(1);
    let receiver = parking_lot::Mutex::new(Some(receiver));
    let host = start(
        Config::default(),
        vec![route("GET", "/", move |_, _| {
            let body = Body::stream(Fed(receiver.lock().take().unwrap()));
            async { Ok(Response::new(body)) }
        })],
    );
    let mut stream = host.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        sender.send(data(event)).await.unwrap();
        assert_eq!(read_until(&mut stream, "\n\n\r\n").await, format!("9\r\n{event}\r\n"));
    }
    drop(sender);
    assert_eq!(read_until(&mut stream, "0\r\n\r\n").await, "0\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_does_not_read_stalls_the_plugin() {
    let produced = Arc::new(AtomicU64::new(0));
    let counter = produced.clone();
    let (sender, receiver) = mpsc::channel(1);
    let receiver = parking_lot::Mutex::new(Some(receiver));
    let host = start(
        Config::default(),
        vec![route("GET", "/", move |_, _| {
            let body = Body::stream(Fed(receiver.lock().take().unwrap()));
            async { Ok(Response::new(body)) }
        })],
    );
    let mut stream = host.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let producer = tokio::spawn(async move {
        static CHUNK: [u8; 65536] = [b'x'; 65536];
        loop {
            // Nobody takes the next chunk for a while: the client's window and our buffers are full.
            let send = sender.send(Ok(Frame::data(Bytes::from_static(&CHUNK))));
            match tokio::time::timeout(Duration::from_millis(500), send).await {
                Ok(sent) => sent.unwrap(),
                Err(_) => return sender,
            }
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let sender = patiently(producer).await.unwrap();
    let stalled_at = produced.load(Ordering::SeqCst);
    assert!(stalled_at < 1024, "{stalled_at} chunks of 64 KiB were taken for a client that reads nothing");
    let read_on = tokio::spawn(async move { read_to_end(&mut stream).await.len() });
    patiently(sender.send(data("end"))).await.unwrap();
    drop(sender);
    assert!(patiently(read_on).await.unwrap() > stalled_at as usize * 65536);
}

#[tokio::test]
async fn a_plugin_that_does_not_read_stalls_the_client() {
    let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = parking_lot::Mutex::new(Some(wait));
    let config = Config { body_bytes_max: 1 << 30, ..Config::default() };
    let host = start(
        config,
        vec![route("POST", "/", move |request: Request<Body>, _| {
            let wait = wait.lock().take().unwrap();
            async move {
                wait.await.unwrap();
                let body = request.into_body().collect().await?.to_bytes();
                Ok(Response::new(Body::whole(body.len().to_string())))
            }
        })],
    );
    let mut stream = host.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend_from_slice(&[b'x'; 65536]);
    chunk.extend_from_slice(b"\r\n");
    let mut sent = 0u64;
    let rest = loop {
        let mut at = 0;
        while at < chunk.len() {
            match tokio::time::timeout(Duration::from_millis(500), stream.write(&chunk[at..])).await {
                Ok(written) => at += written.unwrap(),
                Err(_) => break,
            }
        }
        sent += 65536;
        if at < chunk.len() {
            break at;
        }
        assert!(sent < 64 << 20, "the gateway took {sent} bytes that nobody reads");
    };
    go_on.send(()).unwrap();
    stream.write_all(&chunk[rest..]).await.unwrap();
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.ends_with(&format!("\r\n\r\n{sent}")), "{answer}");
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let host = start(
        Config::default(),
        vec![route("POST", "/{body}", async |request: Request<Body>, invocation: Invocation| {
            let collected = request.into_body().collect().await?;
            assert_eq!(collected.trailers().unwrap()["x-sum"], "42");
            assert!(!collected.trailers().unwrap().contains_key("content-length"));
            let trailers = trailers("x-result", "fine");
            let mut response = Response::new(match &*invocation.params[0].1 {
                "whole" => Body::Trailed("body".into(), Box::new(trailers?.into_trailers().unwrap())),
                _ => fed(vec![data("body"), trailers]),
            });
            response.headers_mut().insert("trailer", "x-result".parse().unwrap());
            Ok(response)
        })],
    );
    for body in ["whole", "stream"] {
        let head = "Host: a\r\nTE: trailers\r\nConnection: close, te\r\nTransfer-Encoding: chunked";
        let sent = "2\r\nhi\r\n0\r\nX-Sum: 42\r\nContent-Length: 7";
        let answer = host.exchange(format!("POST /{body} HTTP/1.1\r\n{head}\r\n\r\n{sent}\r\n\r\n")).await;
        assert!(answer.contains("trailer: x-result\r\n"), "{answer}");
        assert!(answer.ends_with("4\r\nbody\r\n0\r\nx-result: fine\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_response_cut_short_has_no_last_chunk() {
    let host = start(
        Config::default(),
        vec![route("GET", "/", async |_, _| Ok(Response::new(fed(vec![data("half"), broken()]))))],
    );
    let answer = host.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.ends_with("4\r\nhalf\r\n"), "{answer}");
}

#[tokio::test]
async fn a_stream_that_breaks_its_declared_length_is_cut() {
    let host = start(
        Config::default(),
        vec![
            route("GET", "/short", async |_, _| {
                let mut response = Response::new(fed(vec![data("half")]));
                response.headers_mut().insert("content-length", 8.into());
                Ok(response)
            }),
            route("GET", "/long", async |_, _| {
                let mut response = Response::new(fed(vec![data("half"), data("more than that")]));
                response.headers_mut().insert("content-length", 8.into());
                Ok(response)
            }),
        ],
    );
    for path in ["/short", "/long"] {
        let answer = host.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(answer.contains("content-length: 8\r\n") && answer.ends_with("\r\n\r\nhalf"), "{answer}");
    }
}

#[tokio::test]
async fn a_plugins_invalid_response_is_a_502() {
    let host = start(
        Config::default(),
        vec![
            route("GET", "/status", async |_, _| {
                Ok(Response::builder().status(199).body(Body::Empty).unwrap())
            }),
            route("GET", "/length", async |_, _| {
                Ok(Response::builder().header("content-length", "9").body(Body::whole("five!")).unwrap())
            }),
            route("GET", "/number", async |_, _| {
                Ok(Response::builder().header("content-length", "+5").body(Body::whole("five!")).unwrap())
            }),
        ],
    );
    for path in ["/status", "/length", "/number"] {
        let answer =
            host.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(answer.contains("\"kind\":\"invalid_response\""), "{answer}");
    }
}

#[tokio::test]
async fn what_belongs_to_the_host_is_not_taken_from_a_plugin() {
    let host = start(
        Config::default(),
        vec![route("GET", "/", async |_, _| {
            let response = Response::builder()
                .header("date", "yesterday")
                .header("x-request-id", "forged")
                .header("connection", "x-private")
                .header("x-private", "1")
                .header("transfer-encoding", "gzip")
                .header("x-mine", "kept");
            Ok(response.body(Body::whole("ok")).unwrap())
        })],
    );
    let answer = host.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    for gone in ["yesterday", "forged", "x-private", "gzip"] {
        assert!(!answer.contains(gone), "{answer}");
    }
    for there in ["\r\ndate: ", "\r\nx-request-id: ", "\r\nx-mine: kept\r\n", "\r\ncontent-length: 2\r\n"] {
        assert!(answer.contains(there), "{answer}");
    }
}

#[tokio::test]
async fn a_panic_ends_its_own_request_only() {
    let host = start(
        Config::default(),
        vec![
            route("GET", "/panic", async |_, _| -> Answer { panic!("secret") }),
            route("GET", "/stream", async |_, _| {
                Ok(Response::new(Body::stream(http_body_util::StreamBody::new(
                    futures_util::stream::poll_fn(|_| -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
                        panic!("in the stream")
                    }),
                ))))
            }),
            route("GET", "/", echo),
        ],
    );
    let mut stream = host.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = read_until(&mut stream, "}").await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("secret"), "{answer}");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    let cut = host.exchange("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(cut.starts_with("HTTP/1.1 200 ") && !cut.ends_with("0\r\n\r\n"), "{cut}");
}

#[tokio::test]
async fn a_body_is_asked_for_before_it_is_sent() {
    let host = start(Config::default(), vec![route("POST", "/", echo)]);
    let mut stream = host.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("\r\n\r\nhi"));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let (began, mut calls) = mpsc::channel::<mpsc::Receiver<()>>(1);
    let host = start(
        Config::default(),
        vec![route("GET", "/", move |_, _| {
            let began = began.clone();
            async move {
                let (_alive, watcher) = mpsc::channel(1);
                began.send(watcher).await.unwrap();
                std::future::pending().await
            }
        })],
    );
    let mut stream = host.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut alive = patiently(calls.recv()).await.unwrap();
    drop(stream);
    assert_eq!(patiently(alive.recv()).await, None);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_none_after_a_flaw() {
    let host = start(Config::default(), vec![route("POST", "/", echo)]);
    let one = |body: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    let flawed =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = host.exchange(format!("{}{}{flawed}{}", one("one"), one("second"), one("never"))).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 3, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    assert!(answer.contains("both Content-Length and Transfer-Encoding"), "{answer}");
    assert!(!answer.contains("never"), "{answer}");
}

#[tokio::test]
async fn a_client_cannot_name_away_what_the_host_adds() {
    let host = start(
        Config::default(),
        vec![route("GET", "/", async |request: Request<Body>, invocation: Invocation| {
            let mut headers = request.headers().clone();
            invocation.write_fields(&mut headers);
            assert_eq!(headers["x-request-id"], invocation.request_id.as_str());
            assert_eq!(headers["traceparent"], invocation.trace.to_string());
            assert_eq!(headers["host"], "a");
            Ok(Response::new(Body::Empty))
        })],
    );
    let connection = "Connection: close, x-request-id, traceparent, host";
    let answer = host.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\n{connection}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
