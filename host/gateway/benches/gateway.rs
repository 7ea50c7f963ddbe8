//! What the front costs without a plugin behind it: `cargo bench -p wharf-gateway`.
//!
//! - `route`: the path of a request is checked and its route found, among few and many routes;
//! - `request`: a whole request on a kept-alive connection over loopback, from the client's write to the last
//!   byte of the answer, with a service behind the route that answers at once.
#![allow(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]
#![allow(missing_docs, reason = "nobody depends on a benchmark")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Request, Response};
use wharf_call::ports::Account;
use wharf_call::{Body, BoxFuture, Failure, HttpService, Invocation, Memory, MemoryUse, Reservation};
use wharf_gateway::{Config, Gateway, HostPattern, Listener, RoutePattern, RouteSpec, RouteTable, Routes};

struct Hello;

impl HttpService for Hello {
    fn name(&self) -> &str {
        "hello"
    }

    fn call<'a>(&'a self, _: Request<Body>, _: Invocation) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(async { Ok(Response::new(Body::whole("hello\n"))) })
    }
}

struct Plenty;

impl Account for Plenty {
    fn take(&self, _: u64) -> bool {
        true
    }

    fn give_back(&self, _: u64) {}
}

impl Memory for Plenty {
    fn reserve(&self, _: MemoryUse, bytes: u64) -> Option<Reservation> {
        Reservation::new(Arc::new(Plenty), bytes)
    }
}

/// A table with the routes that are asked for, and `more` others.
fn table(more: usize) -> RouteTable {
    let spec = |host: Option<&str>, path: &str| RouteSpec {
        idempotent: false,
        host: host.map(|host| HostPattern::parse(host).unwrap()),
        methods: Vec::new(),
        pattern: RoutePattern::parse(path).unwrap(),
        target: Arc::new(Hello),
    };
    let mut specs = vec![
        spec(None, "/hello"),
        spec(None, "/orders/{order}/lines/{line}"),
        spec(None, "/files/{*path}"),
        spec(Some("*.example.com"), "/hello"),
    ];
    specs.extend((0..more).map(|n| spec(None, &format!("/service-{n}/{{id}}/items/{{item}}"))));
    RouteTable::build(specs).unwrap_or_else(|_| panic!("the routes are distinct"))
}

fn route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for more in [0, 1_000] {
        let table = table(more);
        for (host, path, found) in [
            ("localhost", "/hello", true),
            ("api.example.com", "/hello", true),
            ("localhost", "/orders/42/lines/7", true),
            ("localhost", "/files/a/b/c%20d/e.txt", true),
            ("localhost", "/nowhere/at/all", false),
        ] {
            assert_eq!(table.serves(host, &Method::GET, path), found, "{host}{path}");
            group.bench_function(format!("{host}{path} among {}", more + 4), |bencher| {
                bencher.iter(|| table.serves(black_box(host), &Method::GET, black_box(path)));
            });
        }
    }
}

fn request(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_gateway, addr) = runtime.block_on(async {
        let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
        let listener = Listener::bind(&config).unwrap();
        let addr = listener.local_addr();
        (Gateway::start(listener, config, Routes::new(table(0)), Arc::new(Plenty), None), addr)
    });
    let mut client = TcpStream::connect(addr).unwrap();
    client.set_nodelay(true).unwrap();
    let mut answer = [0; 1024];
    criterion.bench_function("request, kept-alive", |bencher| {
        bencher.iter(|| {
            client.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            // The answer is short: it comes in one piece.
            let length = client.read(&mut answer).unwrap();
            assert!(answer[..length].ends_with(b"hello\n"));
        });
    });
}

criterion_group!(benches, route, request);
criterion_main!(benches);
