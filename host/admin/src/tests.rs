#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wharf_call::ports::{GenerationStatus, HostStatus, PluginStatus, Refusal, Stage};
use wharf_call::{BoxFuture, Control};

use crate::{AdminServer, Config, Token, read_address, write_address};

/// A host with one plugin, `notes`, that refuses the component `bad`.
#[derive(Default)]
struct Fake {
    loaded: Mutex<Vec<Bytes>>,
    unready: AtomicBool,
}

impl Fake {
    fn status(&self) -> PluginStatus {
        let generation = 1 + self.loaded.lock().unwrap().len() as u64;
        PluginStatus {
            name: "notes".into(),
            serving: GenerationStatus {
                generation,
                world: "wharf:plugin/handler@0.1.0".into(),
                sha256: "00".repeat(32),
                bytes: 3,
                source: "notes.wasm".into(),
                loaded_at_s: 1,
                instances: 1,
                in_flight: 0,
                degraded: None,
            },
            previous: None,
            draining: Vec::new(),
            refused: None,
        }
    }

    fn find(&self, name: &str) -> Result<(), Refusal> {
        let known = name == "notes";
        known.then_some(()).ok_or_else(|| Refusal::new(Stage::Find, format!("there is no plugin {name:?}")))
    }
}

impl Control for Fake {
    fn host(&self) -> HostStatus {
        HostStatus { manifest: "/srv/wharf.toml".into(), manifest_refused: None }
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        vec![self.status()]
    }

    fn load<'a>(&'a self, name: &'a str, component: Bytes) -> BoxFuture<'a, Result<PluginStatus, Refusal>> {
        Box::pin(async move {
            self.find(name)?;
            if component == "bad" {
                return Err(Refusal::new(Stage::Compile, "it does not compile"));
            }
            self.loaded.lock().unwrap().push(component);
            Ok(self.status())
        })
    }

    fn rollback<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginStatus, Refusal>> {
        Box::pin(async move {
            self.find(name)?;
            Err(Refusal::new(Stage::Find, "there is no earlier generation"))
        })
    }

    fn profile<'a>(&'a self, name: &'a str, time: Duration) -> BoxFuture<'a, Result<Bytes, Refusal>> {
        Box::pin(async move {
            self.find(name)?;
            match time.as_secs() {
                300 => Err(Refusal::new(Stage::Profile, "there is a recording already")),
                seconds => Ok(format!("{{\"seconds\":{seconds}}}").into()),
            }
        })
    }

    fn call<'a>(
        &'a self,
        name: &'a str,
        function: &'a str,
        arguments: Bytes,
    ) -> BoxFuture<'a, Result<http::Response<wharf_call::Body>, Refusal>> {
        Box::pin(async move {
            self.find(name)?;
            if function != "accounts.get-user" {
                return Err(Refusal::new(Stage::Find, "there is no such function"));
            }
            Ok(http::Response::new(wharf_call::Body::whole(arguments)))
        })
    }

    fn readiness(&self) -> Result<(), String> {
        if self.unready.load(Ordering::Relaxed) { Err("it drains".into()) } else { Ok(()) }
    }
}

/// A folder that is removed again.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Folder(std::env::temp_dir().join(format!("wharf-admin-test-{}-{number}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Host {
    server: AdminServer,
    control: Arc<Fake>,
    token: Token,
    _folder: Folder,
}

impl Host {
    async fn start() -> Self {
        let folder = Folder::new();
        let token = Token::create_or_read(&folder.0).unwrap();
        let control = Arc::new(Fake::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config =
            Config { token: token.clone(), component_bytes_max: 1_000, hosts: vec!["Admin.example".into()] };
        let metrics = Arc::new(|| "up 1\n".to_owned());
        let server = AdminServer::start(listener, config, control.clone(), metrics).unwrap();
        Host { server, control, token, _folder: folder }
    }

    /// Sends the lines of a head as they are, then the body, and reads to the end.
    async fn send(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        let head = head.replace('\n', "\r\n");
        stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\nhost: localhost"), "").await
    }

    async fn put(&self, name: &str, body: &str) -> Answer {
        let head = format!(
            "PUT /plugins/{name} HTTP/1.1\nhost: localhost\nauthorization: Bearer {}\ncontent-length: {}",
            self.token.secret(),
            body.len()
        );
        self.send(&head, body).await
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// Checks that this is a problem document of its status, and gives its detail.
    fn problem(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        assert_eq!(self.json()["status"], self.status);
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn health_readiness_and_metrics_are_read_without_a_token() {
    let host = Host::start().await;
    assert_eq!(host.get("/healthz").await.status, 200);
    assert_eq!(host.get("/readyz").await.status, 200);
    host.control.unready.store(true, Ordering::Relaxed);
    let unready = host.get("/readyz").await;
    assert_eq!((unready.status, &*unready.body), (503, "not ready: it drains\n"));
    let metrics = host.get("/metrics").await;
    assert_eq!((metrics.status, &*metrics.body), (200, "up 1\n"));
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
}

#[tokio::test]
async fn plugins_are_listed_and_shown() {
    let host = Host::start().await;
    assert_eq!(host.get("/plugins").await.json()["plugins"][0]["name"], "notes");
    assert_eq!(host.get("/plugins/notes").await.json()["serving"]["generation"], 1);
    let missing = host.get("/plugins/nots").await;
    assert_eq!((missing.status, &*missing.problem()), (404, "there is no plugin \"nots\""));
    assert_eq!(missing.json()["stage"], "find");
}

#[tokio::test]
async fn a_component_is_loaded_whole() {
    let host = Host::start().await;
    let loaded = host.put("notes", "new").await;
    assert_eq!((loaded.status, &loaded.json()["serving"]["generation"]), (200, &json!(2)));
    assert_eq!(*host.control.loaded.lock().unwrap(), ["new"]);
}

#[tokio::test]
async fn a_refusal_names_its_stage() {
    let host = Host::start().await;
    let refused = host.put("notes", "bad").await;
    assert_eq!((refused.status, &*refused.problem()), (422, "it does not compile"));
    assert_eq!(refused.json()["stage"], "compile");
    assert_eq!(host.put("nots", "new").await.status, 404);
    let head = format!(
        "POST /plugins/notes/rollback HTTP/1.1\nhost: [::1]:9090\nauthorization: bearer {}",
        host.token.secret()
    );
    assert_eq!(host.send(&head, "").await.problem(), "there is no earlier generation");
}

#[tokio::test]
async fn a_profile_is_recorded_for_as_long_as_the_query_says() {
    let host = Host::start().await;
    let profile = async |query: &str| {
        let token = host.token.secret();
        let head = format!(
            "POST /plugins/notes/profile{query} HTTP/1.1\nhost: localhost\nauthorization: Bearer {token}"
        );
        host.send(&head, "").await
    };
    for (query, seconds) in [("", 10), ("?", 10), ("?seconds=1", 1), ("?seconds=299", 299)] {
        let answer = profile(query).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "seconds": seconds })), "{query}");
    }
    for query in ["?seconds=0", "?seconds=301", "?seconds=", "?seconds=1&x=y", "?minutes=1", "?seconds=-1"] {
        let answer = profile(query).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.problem().contains("from 1 to 300"), "{query}");
    }
    assert_eq!(profile("?seconds=300").await.status, 409);
}

#[tokio::test]
async fn a_write_without_the_token_changes_nothing_and_says_where_it_is() {
    let host = Host::start().await;
    let wrong = format!("authorization: Bearer {}", "0".repeat(64));
    for header in ["x-none: 1", "authorization: Bearer", "authorization: Basic abc", &wrong] {
        for request in ["PUT /plugins/notes", "POST /plugins/notes/rollback", "POST /plugins/notes/profile"] {
            let head = format!("{request} HTTP/1.1\nhost: localhost\ncontent-length: 0\n{header}");
            let answer = host.send(&head, "").await;
            assert_eq!(answer.status, 401, "{header}");
            assert!(answer.problem().contains(&host.token.path().display().to_string()));
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        }
    }
    assert!(host.control.loaded.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_component_beyond_the_limit_is_refused_by_its_length_and_by_its_bytes() {
    let host = Host::start().await;
    let token = host.token.secret();
    let head = format!(
        "PUT /plugins/notes HTTP/1.1\nhost: localhost\nauthorization: Bearer {token}\ncontent-length: 1001"
    );
    let declared = host.send(&head, "").await;
    assert_eq!(declared.status, 413);
    assert!(declared.problem().contains("component_bytes"));

    let head = head.replace("content-length: 1001", "transfer-encoding: chunked");
    let chunked = host.send(&head, &format!("3e9\r\n{}\r\n", "x".repeat(1001))).await;
    assert_eq!(chunked.status, 413);
    assert_eq!(host.put("notes", &"x".repeat(1000)).await.status, 200);
}

#[tokio::test]
async fn a_component_that_is_cut_short_is_not_loaded() {
    let host = Host::start().await;
    let mut stream = TcpStream::connect(host.server.address()).await.unwrap();
    let token = host.token.secret();
    let head = format!(
        "PUT /plugins/notes HTTP/1.1\r\nhost: a.localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 9\r\n\r\nnew"
    )
    .replace("a.localhost", "localhost");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(host.control.loaded.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_host_that_is_not_this_one_is_refused() {
    let host = Host::start().await;
    for own in ["localhost", "LOCALHOST:1", "127.0.0.1:9090", "192.0.2.7", "[::1]:9090", "admin.example:80"] {
        let answer = host.send(&format!("GET /plugins HTTP/1.1\nhost: {own}"), "").await;
        assert_eq!(answer.status, 200, "{own}");
    }
    for foreign in ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil.example"] {
        for path in ["/healthz", "/plugins", "/nowhere"] {
            let answer = host.send(&format!("GET {path} HTTP/1.1\nhost: {foreign}"), "").await;
            assert_eq!(answer.status, 421, "{foreign}");
            assert!(answer.problem().contains("hosts = ["));
        }
    }
    for broken in ["x: y", "host: a\nhost: b", "host: localhost\nhost: localhost", "host: a b"] {
        assert_eq!(host.send(&format!("GET /plugins HTTP/1.1\n{broken}"), "").await.status, 400, "{broken}");
    }
    let absolute = host.send("GET http://evil.example/plugins HTTP/1.1\nhost: localhost", "").await;
    assert_eq!(absolute.status, 400);
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let host = Host::start().await;
    let ask = async |origin: &str| {
        let head = format!("GET /plugins HTTP/1.1\nhost: 127.0.0.1:9090\norigin: {origin}");
        host.send(&head, "").await.status
    };
    assert_eq!(ask("http://127.0.0.1:9090").await, 200);
    for foreign in
        ["null", "http://evil.example", "http://127.0.0.1:8080", "https://127.0.0.1:9090", "http://"]
    {
        assert_eq!(ask(foreign).await, 403, "{foreign}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let host = Host::start().await;
    assert_eq!(host.get("/nowhere").await.problem(), "there is nothing at this path");
    let delete = host.send("DELETE /plugins/notes HTTP/1.1\nhost: localhost", "").await;
    assert_eq!(delete.status, 405);
    assert!(delete.head.contains("allow: get,head,put"), "{}", delete.head);
    delete.problem();
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_a_drop_ends_all() {
    let host = Host::start().await;
    let address = host.server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    host.server.stop(Duration::from_secs(60)).await;
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());

    let host = Host::start().await;
    let mut half = TcpStream::connect(host.server.address()).await.unwrap();
    half.write_all(b"GET /healthz").await.unwrap();
    drop(host.server);
    // Ends, with or without an error; a connection that lived on would hang here.
    let _ = half.read_to_end(&mut Vec::new()).await;
}

#[test]
fn the_token_is_made_once_and_only_its_owner_can_read_it() {
    let folder = Folder::new();
    let token = Token::create_or_read(&folder.0).unwrap();
    assert_eq!(token.secret().len(), 64);
    let mode = std::fs::metadata(token.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Token::create_or_read(&folder.0).unwrap().secret(), token.secret());
    assert!(!format!("{token:?}").contains(token.secret()));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn a_token_that_others_can_read_is_refused_with_the_command_to_run() {
    let folder = Folder::new();
    let path = Token::create_or_read(&folder.0).unwrap().path().to_owned();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let error = Token::create_or_read(&folder.0).unwrap_err().to_string();
    assert!(error.ends_with(&format!("Run: chmod 600 {}", path.display())), "{error}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "secret").unwrap();
    assert!(Token::create_or_read(&folder.0).unwrap_err().to_string().contains("64 hex digits"));
}

#[test]
fn a_token_matches_itself_alone() {
    let folder = Folder::new();
    let token = Token::create_or_read(&folder.0).unwrap();
    assert!(token.matches(token.secret().as_bytes()));
    for wrong in ["", "x", &token.secret()[..63], &"0".repeat(64), &format!("{}0", token.secret())] {
        assert!(!token.matches(wrong.as_bytes()), "{wrong}");
    }
}

#[test]
fn the_address_is_found_again() {
    let folder = Folder::new();
    assert_eq!(read_address(&folder.0).unwrap_err().kind(), Some(std::io::ErrorKind::NotFound));
    for address in ["127.0.0.1:9090", "[::1]:1"] {
        write_address(&folder.0, address.parse().unwrap()).unwrap();
        assert_eq!(read_address(&folder.0).unwrap().to_string(), address);
    }
}
