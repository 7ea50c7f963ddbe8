use super::*;

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let config = Config { header_timeout: SHORT, ..Config::default() };
    let host = start(config, vec![route("GET", "/", echo)]);
    for slow in ["", "GET / HT", "PRI * HTTP/2.0\r\n\r\n"] {
        assert_eq!(host.exchange(slow).await, "", "{slow}");
    }
    // A second head on a connection that is kept alive has the same limit, whatever the idle timeout is.
    let answer = host.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo").await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let config = Config { idle_timeout: SHORT, ..Config::default() };
    let slow = async |_, _| {
        tokio::time::sleep(3 * SHORT).await;
        Ok(Response::new(Body::whole("slow")))
    };
    let host = start(config, vec![route("GET", "/", slow)]);
    let answer = host.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\nslow"), "{answer}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_408() {
    let config = Config { body_progress_timeout: SHORT, ..Config::default() };
    let host = start(config, vec![route("POST", "/", echo)]);
    let whole = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe";
    let streamed = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe";
    for request in [whole, streamed] {
        let answer = host.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    assert_eq!(host.room.0.load(Ordering::SeqCst), 1 << 20, "the budget is whole again");
}

#[tokio::test]
async fn a_client_that_stops_reading_loses_the_connection_and_the_plugin_its_work() {
    let config = Config { body_progress_timeout: SHORT, ..Config::default() };
    let (sender, receiver) = mpsc::channel(1);
    let receiver = parking_lot::Mutex::new(Some(receiver));
    let host = start(
        config,
        vec![route("GET", "/", move |_, _| {
            let body = Body::stream(Fed(receiver.lock().take().unwrap()));
            async { Ok(Response::new(body)) }
        })],
    );
    let mut stream = host.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    static CHUNK: [u8; 65536] = [b'x'; 65536];
    // Sending fails once the body has been dropped.
    while patiently(sender.send(Ok(Frame::data(Bytes::from_static(&CHUNK))))).await.is_ok() {}
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_before_and_while_it_comes() {
    let config = Config { body_bytes_max: 10, ..Config::default() };
    let host = start(config, vec![route("POST", "/", echo)]);
    let announced = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
    let streamed =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n";
    for request in [announced, streamed] {
        let answer = host.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("larger than 10 bytes"), "{answer}");
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let host = start(Config::default(), vec![route("POST", "/", echo)]);
    let mut stream = host.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1u64 << 40);
    stream.write_all(head.as_bytes()).await.unwrap();
    // More than the sockets hold: without lingering, the reset would overtake the answer.
    let _ = stream.write_all(&vec![b'x'; 900 << 10]).await;
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_body_without_room_in_the_budget_is_a_503() {
    let host = start(Config::default(), vec![route("POST", "/", echo)]);
    host.room.0.store(4, Ordering::SeqCst);
    let answer = host.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n") && answer.contains("\"kind\":\"overloaded\""), "{answer}");
    let answer = host
        .exchange("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhell")
        .await;
    assert!(answer.ends_with("\r\n\r\nhell"), "{answer}");
    assert_eq!(host.room.0.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn clients_over_the_limit_wait_until_one_goes() {
    let config = Config { connections_max: 1, ..Config::default() };
    let host = start(config, vec![route("GET", "/", echo)]);
    let mut first = host.connect().await;
    first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut first, "\r\n\r\n").await;
    let mut second = host.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(SHORT, second.read(&mut byte)).await;
    assert!(early.is_err(), "the second client was served beside the first");
    drop(first);
    assert!(read_to_end(&mut second).await.starts_with("HTTP/1.1 200 "));
}
