#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{SinkExt, stream};
use http::{HeaderValue, Method};
use std::sync::Mutex;
use tokio::io::DuplexStream;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as ClientMessage;
use tokio_tungstenite::tungstenite::protocol::Role;
use wharf_call::{Upgrade, UpgradeOffer};

use super::*;
use crate::testing::{Unbounded, invocation};

/// A plugin that gives what a test has prepared, and keeps what comes in for it.
struct Prepared {
    opens: AtomicUsize,
    outgoing: Mutex<Option<Result<MessageStream, Failure>>>,
    incoming: Mutex<Option<MessageStream>>,
}

impl Prepared {
    fn new(outgoing: Result<MessageStream, Failure>) -> Arc<Self> {
        let outgoing = Mutex::new(Some(outgoing));
        Arc::new(Prepared { opens: AtomicUsize::new(0), outgoing, incoming: Mutex::default() })
    }
}

impl SocketService for Prepared {
    fn name(&self) -> &str {
        "prepared"
    }

    fn open<'a>(
        &'a self,
        _: Request<Body>,
        _: Invocation,
        incoming: MessageStream,
    ) -> BoxFuture<'a, Result<MessageStream, Failure>> {
        self.opens.fetch_add(1, Relaxed);
        *self.incoming.lock().unwrap() = Some(incoming);
        let outgoing = self.outgoing.lock().unwrap().take().unwrap();
        Box::pin(async { outgoing })
    }
}

fn handshake() -> Request<Body> {
    Request::builder()
        .header("host", "api.example.com")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13")
        .extension(UpgradeOffer(HeaderValue::from_static("websocket")))
        .body(Body::Empty)
        .unwrap()
}

async fn call(plugin: &Arc<Prepared>, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let door = SocketDoor::new(plugin.clone(), SocketLimits::default(), Arc::new(Unbounded));
    door.call(request, invocation(&[])).await
}

/// What connection and client hold of messages of 48 KiB.
const HELD: usize = 8;

/// The client's end of a socket to `plugin`, over a connection that holds 64 KiB.
async fn connect(plugin: &Arc<Prepared>) -> WebSocketStream<DuplexStream> {
    let mut answer = call(plugin, handshake()).await.unwrap();
    let run = answer.extensions_mut().remove::<Upgrade>().unwrap().take().unwrap();
    let (client, server) = tokio::io::duplex(64 << 10);
    tokio::spawn(run(Box::new(server), Box::pin(std::future::pending())));
    WebSocketStream::from_raw_socket(client, Role::Client, None).await
}

#[tokio::test]
async fn a_plugin_is_asked_only_by_who_can_have_a_socket() {
    let plugin = Prepared::new(Err(Failure::new(Kind::Conflict, "not now")));
    let mut plain = handshake();
    plain.extensions_mut().clear();
    assert_eq!(call(&plugin, plain).await.unwrap_err().kind(), Kind::UpgradeRequired);
    let mut post = handshake();
    *post.method_mut() = Method::POST;
    assert_eq!(call(&plugin, post).await.unwrap_err().kind(), Kind::BadRequest);
    let mut elsewhere = handshake();
    elsewhere.headers_mut().insert("origin", HeaderValue::from_static("https://evil.example"));
    assert_eq!(call(&plugin, elsewhere).await.unwrap_err().kind(), Kind::Forbidden);
    assert_eq!(plugin.opens.load(Relaxed), 0);

    assert_eq!(call(&plugin, handshake()).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(plugin.opens.load(Relaxed), 1);
}

#[test]
fn who_offers_no_upgrade_is_told_which_to_offer() {
    let door = SocketDoor::new(
        Prepared::new(Ok(Box::pin(stream::empty()))),
        SocketLimits::default(),
        Arc::new(Unbounded),
    );
    let refused = |kind| door.refuse(&Failure::new(kind, "no"), "id").unwrap();
    let answer = refused(Kind::UpgradeRequired);
    assert_eq!((answer.status().as_u16(), &answer.headers()[UPGRADE]), (426, &"websocket".parse().unwrap()));
    assert!(!refused(Kind::Conflict).headers().contains_key(UPGRADE));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_makes_no_message_before_the_one_before_is_on_its_way() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let outgoing = stream::repeat_with(move || {
        counted.fetch_add(1, Relaxed);
        Ok(SocketMessage::Binary(vec![0; 48 << 10].into()))
    });
    let mut client = connect(&Prepared::new(Ok(Box::pin(outgoing)))).await;
    // Time goes on when nothing else can.
    sleep(Duration::from_secs(1)).await;
    let ahead = made.load(Relaxed);
    assert!(ahead <= HELD, "{ahead} messages for a client that reads none");
    for read in 1..20 {
        assert_eq!(client.next().await.unwrap().unwrap().len(), 48 << 10);
        sleep(Duration::from_secs(1)).await;
        assert!(made.load(Relaxed) <= read + HELD);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_no_message_for_too_long_is_cut_off() {
    let dropped = Arc::new(());
    let held = dropped.clone();
    let outgoing = stream::repeat_with(move || {
        let _ = &held;
        Ok(SocketMessage::Binary(vec![0; 48 << 10].into()))
    });
    let _client = connect(&Prepared::new(Ok(Box::pin(outgoing)))).await;
    sleep(Duration::from_secs(9)).await;
    assert_eq!(Arc::strong_count(&dropped), 2);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(Arc::strong_count(&dropped), 1);
}

#[tokio::test(start_paused = true)]
async fn the_clients_next_message_is_not_read_before_the_plugin_has_taken_one() {
    let plugin = Prepared::new(Ok(Box::pin(stream::pending())));
    let client = connect(&plugin).await;
    let (mut speaks, _hears) = client.split();
    let said = Arc::new(AtomicUsize::new(0));
    let counted = said.clone();
    tokio::spawn(async move {
        while speaks.send(ClientMessage::binary(vec![0; 48 << 10])).await.is_ok() {
            counted.fetch_add(1, Relaxed);
        }
    });
    sleep(Duration::from_secs(1)).await;
    let ahead = said.load(Relaxed);
    // One for the plugin, and what the connection and its reader hold.
    assert!((1..=HELD).contains(&ahead), "{ahead} messages for a plugin that takes none");
    // A minute in which nobody was asked anything is not one in which the client was silent.
    sleep(Duration::from_secs(70)).await;
    assert_eq!(said.load(Relaxed), ahead);
    let mut incoming = plugin.incoming.lock().unwrap().take().unwrap();
    for taken in 1..20 {
        assert_eq!(incoming.next().await.unwrap().unwrap().len(), 48 << 10);
        sleep(Duration::from_millis(10)).await;
        assert!(said.load(Relaxed) <= taken + HELD);
    }
    assert!(said.load(Relaxed) > ahead, "the client goes on");
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_ends_with_the_socket() {
    let plugin = Prepared::new(Ok(Box::pin(stream::pending())));
    let mut client = connect(&plugin).await;
    client.send(ClientMessage::text("hello")).await.unwrap();
    client.close(None).await.unwrap();
    let mut incoming = plugin.incoming.lock().unwrap().take().unwrap();
    assert_eq!(incoming.next().await.unwrap().unwrap(), SocketMessage::Text("hello".into()));
    assert!(incoming.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn each_failure_has_a_code() {
    for (kind, code) in [
        (Kind::PayloadTooLarge, 1009),
        (Kind::Timeout, 1001),
        (Kind::Overloaded, 1013),
        (Kind::GuestTrapped, 1011),
        (Kind::CpuExceeded, 1011),
        (Kind::ResponseTooLarge, 1011),
    ] {
        let outgoing = stream::iter([Err(Failure::new(kind, "a secret").with_private("another"))]);
        let mut client = connect(&Prepared::new(Ok(Box::pin(outgoing)))).await;
        let ClientMessage::Close(Some(frame)) = client.next().await.unwrap().unwrap() else {
            panic!("{kind:?}")
        };
        assert_eq!(u16::from(frame.code), code, "{kind:?}");
        assert!(!frame.reason.contains("secret") && !frame.reason.contains("another"));
    }
}
