use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use wharf_admin::{Token, read_address};

use super::{Failed, HostArgs};
use crate::manifest::Manifest;

/// A host that cannot be reached is given up on after this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Compiling a large component is the longest thing that a host may be asked for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// No answer of the admin API is larger; the largest ones are profiles.
const ANSWER_BYTES_MAX: usize = 72 << 20;

/// The admin API of a running host.
pub(super) struct Client {
    /// Host and port, as the connection and the `Host` header need them.
    authority: String,
    /// Absent when it cannot be read, with the reason: reading needs none.
    token: Result<Token, String>,
}

impl Client {
    /// Finds the host of a folder, or takes the address that was given.
    pub(super) fn find(args: &HostArgs) -> Result<Self, Failed> {
        let manifest = Manifest::read(&args.dir);
        let data = match (&manifest, &args.admin) {
            (Ok(manifest), _) => manifest.app.data.clone(),
            // The host may run well with a manifest that has been broken since; its data is where it was.
            (Err(_), _) => args.dir.join(".wharf"),
        };
        let token = Token::read(&data).map_err(|error| error.to_string());
        let authority = match &args.admin {
            Some(url) => authority(url)?,
            None => address(&data, args)?.to_string(),
        };
        Ok(Client { authority, token })
    }

    /// Asks for something and gives its JSON. The error is the host's own reason.
    pub(super) fn send(&self, method: Method, path: &str, body: Bytes) -> Result<serde_json::Value, Failed> {
        let body = self.fetch(method, path, body, ANSWER_TIMEOUT)?;
        serde_json::from_slice(&body).map_err(|_| self.is_no_host(StatusCode::OK))
    }

    /// Asks for something that takes up to `timeout`, and gives the answer as it is.
    pub(super) fn fetch(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, Failed> {
        let mut request = Request::builder().method(&method).uri(path).header(HOST, &self.authority);
        if method != Method::GET {
            let token = self.token.as_ref().map_err(|error| {
                Failed::new(format!(
                    "{error}. Run this as the user that runs the host, with --dir and the host's folder"
                ))
            })?;
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.secret()));
        }
        let request = request.body(Full::new(body)).map_err(Failed::new)?;
        let (status, body) = super::runtime()?.block_on(self.exchange(request, timeout))?;
        if status.is_success() {
            return Ok(body);
        }
        let json: serde_json::Value = serde_json::from_slice(&body).map_err(|_| self.is_no_host(status))?;
        let detail = json["detail"].as_str().unwrap_or("the host did not say why");
        Err(match json["stage"].as_str() {
            Some("find" | "profile") | None => Failed::new(detail),
            Some(stage) => {
                Failed::new(format!("refused at {stage}: {detail}\nThe generation before goes on serving."))
            }
        })
    }

    fn is_no_host(&self, status: StatusCode) -> Failed {
        Failed::new(format!("what answers at {} ({status}) is not a wharf admin API", self.authority))
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), Failed> {
        let unreachable = |why: String| {
            let authority = &self.authority;
            Failed::new(format!(
                "no host answers at {authority}: {why}. Start one with: wharf up, or name another with --admin"
            ))
        };
        let connect = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority));
        let stream = match connect.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable(format!("nothing within {} s", CONNECT_TIMEOUT.as_secs()))),
        };
        let broken = |error: hyper::Error| Failed::new(format!("the connection to the host broke: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Dropped, and so ended, with the runtime.
        tokio::spawn(connection);
        let exchange = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| Failed::new(format!("the host's answer broke off: {error}")))?;
            Ok((status, body.to_bytes()))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::new(format!("the host did not answer within {} s", timeout.as_secs()))),
        }
    }
}

fn address(data: &std::path::Path, args: &HostArgs) -> Result<SocketAddr, Failed> {
    read_address(data).map_err(|error| match error.kind() {
        Some(std::io::ErrorKind::NotFound) => Failed::new(format!(
            "no host has run in the folder {dir:?}. Start one with: wharf up, or name one with --admin http://127.0.0.1:9090",
            dir = args.dir
        )),
        _ => Failed::new(error),
    })
}

/// Host and port of `http://127.0.0.1:9090` or `127.0.0.1:9090`.
fn authority(url: &str) -> Result<String, Failed> {
    let wrong = || {
        Failed::new(format!("--admin {url:?} is not an address. Write it as: --admin http://127.0.0.1:9090"))
    };
    let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| wrong())?;
    let plain = uri.scheme_str().is_none_or(|scheme| scheme == "http");
    let rooted = uri.path_and_query().is_none_or(|path| path == "/");
    let authority = uri.authority().filter(|authority| plain && rooted && authority.port().is_some());
    authority.map(|authority| authority.to_string()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_with_or_without_its_scheme() {
        for good in
            ["http://127.0.0.1:9090", "http://127.0.0.1:9090/", "127.0.0.1:9090", "localhost:1", "[::1]:9090"]
        {
            let found = authority(good).expect("valid");
            assert_eq!(found, good.trim_start_matches("http://").trim_end_matches('/'));
        }
        for bad in ["", "https://127.0.0.1:9090", "127.0.0.1", "http://127.0.0.1:9090/x", "/x", "a b"] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }

    /// Answers one request, and gives what it was.
    fn host(status: u16, body: &str) -> (Client, std::thread::JoinHandle<String>) {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let authority = listener.local_addr().expect("it is bound").to_string();
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the client connects");
            let mut request = Vec::new();
            let mut chunk = [0; 1024];
            let ended = |request: &[u8]| match request.starts_with(b"GET") {
                true => request.ends_with(b"\r\n\r\n"),
                false => request.ends_with(b"wasm"),
            };
            while !ended(&request) {
                let count = stream.read(&mut chunk).expect("the client sends");
                assert_ne!(count, 0, "the client sends all");
                request.extend_from_slice(&chunk[..count]);
            }
            stream.write_all(answer.as_bytes()).expect("the client reads");
            String::from_utf8_lossy(&request).into_owned()
        });
        let data = std::env::temp_dir().join(format!("wharf-client-{}", authority.replace(':', "-")));
        let token = Token::create_or_read(&data).map_err(|error| error.to_string());
        let _ = std::fs::remove_dir_all(&data);
        (Client { authority, token }, asked)
    }

    #[test]
    fn a_write_carries_the_token_and_the_bytes() {
        let (client, asked) = host(200, r#"{"a": 1}"#);
        let answer = client.send(Method::PUT, "/plugins/notes", Bytes::from_static(b"wasm")).expect("200");
        assert_eq!(answer["a"], 1);
        let asked = asked.join().expect("it was asked");
        let token = client.token.expect("made");
        assert!(asked.starts_with("PUT /plugins/notes HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: {}\r\n", client.authority)), "{asked}");
        assert!(asked.contains(&format!("authorization: Bearer {}\r\n", token.secret())), "{asked}");
        assert!(asked.contains("content-length: 4\r\n") && asked.ends_with("\r\n\r\nwasm"), "{asked}");
    }

    #[test]
    fn a_refusal_is_shown_with_its_stage_and_reason() {
        let (client, _asked) = host(422, r#"{"stage":"health","detail":"no database"}"#);
        let refused = client.send(Method::GET, "/plugins", Bytes::new()).expect_err("422").0;
        let expected = "refused at health: no database\nThe generation before goes on serving.";
        assert_eq!(refused.as_deref(), Some(expected));
    }

    #[test]
    fn what_is_no_admin_api_is_said_not_to_be_one() {
        let (client, _asked) = host(200, "hello");
        let failed = client.send(Method::GET, "/plugins", Bytes::new()).expect_err("no JSON").0;
        assert!(failed.is_some_and(|message| message.ends_with("(200 OK) is not a wharf admin API")));
    }

    #[test]
    fn a_host_that_does_not_run_is_said_not_to() {
        // Bound and not listening: whoever connects is refused, and no test beside this one can be given the port.
        let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
        nobody.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let authority = nobody.local_addr().expect("it is bound").to_string();
        let client = Client { authority, token: Err(String::new()) };
        let failed = client.send(Method::GET, "/plugins", Bytes::new()).expect_err("nobody").0;
        assert!(failed.is_some_and(|message| message.contains("Start one with: wharf up")));
    }
}
