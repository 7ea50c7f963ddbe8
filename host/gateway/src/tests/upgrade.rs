use http::StatusCode;
use http::header::{HeaderValue, UPGRADE};
use wharf_call::{Refused, Upgrade, UpgradeOffer};

use super::*;

/// Goes on with what was offered: sends back what comes in, and says goodbye when the gateway drains.
async fn switch(request: Request<Body>, _: Invocation) -> Answer {
    assert!(!request.headers().contains_key(UPGRADE), "a field of the connection goes no further");
    let mut response = Response::new(Body::Empty);
    let Some(UpgradeOffer(offer)) = request.extensions().get().cloned() else { return Ok(response) };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let run = |mut wire: Box<dyn wharf_call::upgrade::Wire>, mut draining: BoxFuture<'static, ()>| {
        Box::pin(async move {
            let mut byte = [0];
            loop {
                tokio::select! {
                    read = wire.read(&mut byte) => match read {
                        Ok(1) => wire.write_all(&byte).await.unwrap(),
                        _ => return,
                    },
                    () = &mut draining => return wire.write_all(b"bye").await.unwrap(),
                }
            }
        }) as BoxFuture<'static, ()>
    };
    response.extensions_mut().insert(Upgrade::new(offer, Box::new(run)));
    Ok(response)
}

const OFFER: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: parrot\r\n\r\n";

#[tokio::test]
async fn a_connection_goes_on_in_the_protocol_that_was_offered() {
    let host = start(Config::default(), vec![route("GET", "/", switch)]);
    let mut stream = host.connect().await;
    stream.write_all(OFFER.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: parrot\r\n"), "{head}");
    // What follows is no HTTP, and nobody reads it as such.
    let text = "no: http\r\n host : x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n!";
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut stream, "!").await, text);
    let drained = tokio::spawn(host.gateway.drain(PATIENCE));
    assert_eq!(read_to_end(&mut stream).await, "bye");
    assert!(patiently(drained).await.unwrap().finished);
}

#[tokio::test]
async fn without_an_offer_there_is_nothing_to_go_on_in() {
    let host = start(Config::default(), vec![route("GET", "/", switch)]);
    for head in ["connection: close", "connection: close\r\nupgrade: parrot"] {
        let answer = host.exchange(format!("GET / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let answer = host
        .exchange("GET / HTTP/1.0\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: parrot\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_not_valid() {
    let host = start(
        Config::default(),
        vec![route("GET", "/", |_, _| async {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let run = |_, _| Box::pin(async {}) as BoxFuture<'static, ()>;
            let parrot = HeaderValue::from_static("parrot");
            response.extensions_mut().insert(Upgrade::new(parrot, Box::new(run)));
            Ok(response)
        })],
    );
    for head in ["connection: close", "connection: close\r\nupgrade: parrot"] {
        // Of those two, neither names `upgrade` in `connection`: nothing was offered, and hyper has nothing to go on in.
        let answer = host.exchange(format!("GET / HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
}

/// A service with a shape of its own for failures.
struct Shaped;

impl HttpService for Shaped {
    fn name(&self) -> &str {
        "shaped"
    }
    fn call<'a>(&'a self, _: Request<Body>, _: Invocation) -> BoxFuture<'a, Answer> {
        Box::pin(async { Err(Failure::new(Kind::Conflict, "no")) })
    }
    fn refuse(&self, failure: &Failure, request_id: &str) -> Option<Response<Body>> {
        let mut response = Response::new(Body::whole(format!("{} {request_id}", failure.kind_name())));
        response.extensions_mut().insert(Refused(failure.clone()));
        Some(response)
    }
}

#[tokio::test]
async fn a_service_tells_of_failures_in_its_own_shape_also_of_those_before_it_was_called() {
    let shaped =
        RouteSpec { target: Arc::new(Shaped), ..route("", "/", |_, _| async { Ok(Response::default()) }) };
    let config = Config { body_bytes_max: 1, ..Config::default() };
    let host = start(config, vec![shaped]);
    for (length, kind) in [(0, "conflict"), (5, "payload_too_large")] {
        let head = "POST / HTTP/1.1\r\nhost: a\r\nx-request-id: seven\r\nconnection: close";
        let answer = host.exchange(format!("{head}\r\ncontent-length: {length}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with(&format!("{kind} seven")), "{answer}");
    }
}

#[tokio::test]
async fn a_call_of_grpc_that_no_route_matches_is_answered_in_grpc() {
    let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
    let listener = Listener::bind(&config).unwrap();
    let address = listener.local_addr();
    let table = RouteTable::build(vec![route("GET", "/there", echo)]).unwrap().with_grpc(Arc::new(Shaped));
    let room = Arc::new(Room(AtomicU64::new(1 << 20)));
    let gateway = Gateway::start(listener, config, Routes::new(table), Arc::new(Budget(room.clone())), None);
    let host = Host { gateway, address, room };
    for (path, content_type, status) in [
        ("/no.Such/Method", "application/grpc", "200"),
        ("/there", "application/grpc-web+proto", "200"),
        ("/no.Such/Method", "application/json", "404"),
        ("/there", "text/plain", "405"),
    ] {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {content_type}");
        let answer = host.exchange(format!("{head}\r\ncontent-length: 0\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {content_type}: {answer}");
    }
}
