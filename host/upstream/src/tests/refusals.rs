//! Ways to addresses that were not granted, and that nobody gets there.

use std::sync::atomic::Ordering;

use http::{Request, Response};
use wharf_call::{Body, EgressCode, EgressOptions};

use super::setting::{Names, Server, code, egress, fetch, get, text};

/// Names that resolve to what a plugin must not reach, each with the address.
const NAMES: &[(&str, &str)] = &[
    ("loopback.test", "127.0.0.1"),
    ("loopback-other.test", "127.8.8.8"),
    ("loopback6.test", "::1"),
    ("mapped.test", "::ffff:127.0.0.1"),
    ("compatible.test", "::127.0.0.1"),
    ("unspecified.test", "0.0.0.0"),
    ("unspecified6.test", "::"),
    ("private10.test", "10.0.0.1"),
    ("private172.test", "172.16.0.1"),
    ("private192.test", "192.168.0.1"),
    ("shared.test", "100.64.0.1"),
    ("unique-local.test", "fd12::1"),
    ("metadata.test", "169.254.169.254"),
    ("metadata-mapped.test", "::ffff:169.254.169.254"),
    ("metadata-alibaba.test", "100.100.100.200"),
    ("metadata-azure.test", "168.63.129.16"),
    ("metadata-aws6.test", "fd00:ec2::254"),
    ("link-local6.test", "fe80::1"),
    ("nat64.test", "64:ff9b::7f00:1"),
    ("nat64-metadata.test", "64:ff9b::a9fe:a9fe"),
    ("nat64-private.test", "64:ff9b::a00:1"),
    ("six-to-four-metadata.test", "2002:a9fe:a9fe::"),
    ("site-local.test", "fec0::1"),
    ("benchmark.test", "198.18.0.1"),
    ("this-network.test", "0.1.2.3"),
    ("metadata-oracle.test", "192.0.0.192"),
    ("nat64-local.test", "64:ff9b:1::7f00:1"),
    ("six-to-four.test", "2002:7f00:1::1"),
    ("teredo.test", "2001:0:7f00:1::1"),
    ("multicast.test", "224.0.0.1"),
    ("broadcast.test", "255.255.255.255"),
    ("documentation.test", "192.0.2.1"),
    ("both.test", "10.0.0.1 ::1"),
];

/// Hosts that some program takes for loopback or a metadata service, none of them granted.
const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0x7F.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "127.0.0.1.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::1]",
    "[::1%25lo]",
    "[fe80::1%25eth0]",
    "[::1%lo]",
    "[::ffff:169.254.169.254]",
    "[::ffff:0:127.0.0.1]",
    "[::]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "x.localhost",
    "%6cocalhost",
    "%31%32%37.0.0.1",
    "granted.test@127.0.0.1",
    "granted.test%40127.0.0.1",
    "granted.test:80@127.0.0.1",
    "granted.test.",
    "loopback.granted.test.",
    "169.254.169.254",
    "169.254.169.254.",
    "169.254.43518",
    "0251.0376.0251.0376",
    "0xA9FEA9FE",
    "2852039166",
    "metadata.google.internal",
    "127.8.8.8",
    "127.0.0.1%2f.granted.test",
    "127.0.0.1#.granted.test",
    "granted.test\\@127.0.0.1",
    "xn--localhost-.example",
    "[fd00:ec2::254]",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "ｌocalhost",
];

#[tokio::test]
async fn no_spelling_of_a_private_address_is_a_way_to_it() {
    let victim = Server::echo().await;
    let grants = [victim.at("granted.test"), victim.at("*.granted.test")];
    let egress =
        egress(&grants, Names::new(&[("granted.test", "127.0.0.1"), ("x.granted.test", "127.0.0.1")]));
    for host in SPELLINGS {
        let Ok(request) = Request::get(victim.at(host)).body(Body::Empty) else {
            assert!(!host.is_ascii() || host.contains(['%', '\\']), "{host}: only these are no URI at all");
            continue;
        };
        let refused = code(&egress, request, EgressOptions::default()).await;
        assert!(
            matches!(refused, Err(EgressCode::HttpRequestDenied | EgressCode::HttpRequestUriInvalid)),
            "{host}: {refused:?}"
        );
    }
    assert_eq!(victim.accepted(), 0);
}

#[tokio::test]
async fn a_granted_name_that_resolves_to_a_private_address_is_not_called() {
    let victim = Server::echo().await;
    let names = Names::new(NAMES);
    let egress = egress(&[victim.at("*.test")], names.clone());
    for (name, _) in NAMES {
        let refused = code(&egress, get(victim.at(name)), EgressOptions::default()).await;
        assert_eq!(refused, Err(EgressCode::DestinationIpProhibited), "{name}");
    }
    assert_eq!(names.lookups.load(Ordering::SeqCst), NAMES.len(), "each name is looked up once");
    assert_eq!(victim.accepted(), 0);
}

#[tokio::test]
async fn a_redirect_is_no_way_to_a_private_address_either() {
    let victim = Server::echo().await;
    let door = Server::http(|request| async move {
        // `/302?http://elsewhere/` redirects there; `/302?/302?…` to itself first.
        let status = request.uri().path()[1..].parse::<u16>().unwrap();
        let location = request.uri().query().unwrap().to_owned();
        Response::builder().status(status).header("location", location).body(Body::Empty).unwrap()
    })
    .await;
    let grants = [format!("private {}", door.at("door.test")), victim.at("*.test")];
    let mut script = vec![("door.test", "127.0.0.1")];
    script.extend_from_slice(NAMES);
    let egress = egress(&grants, Names::new(&script));
    let follow = EgressOptions { follow: 5, ..EgressOptions::default() };
    let names = NAMES.iter().map(|(name, _)| *name);
    let hosts = SPELLINGS.iter().copied().chain(names).filter(|host| host.is_ascii());
    let statuses = [301, 302, 303, 307, 308].into_iter().cycle();
    for (host, status) in hosts.flat_map(|host| [host; 2]).zip(statuses) {
        let (target, door) = (victim.at(host), door.at("door.test"));
        let unschemed = target.strip_prefix("http:").unwrap();
        // At once, and as the end of chains whose first hops are allowed, whole and relative.
        for uri in [
            format!("{door}/{status}?{target}"),
            format!("{door}/{status}?{unschemed}"),
            format!("{door}/{status}?/{status}?{target}"),
            format!("{door}/{status}?{door}/{status}?{status}?{target}"),
        ] {
            let refused = code(&egress, get(&uri), follow).await;
            let refusals = [
                Err(EgressCode::HttpRequestDenied),
                Err(EgressCode::HttpRequestUriInvalid),
                Err(EgressCode::DestinationIpProhibited),
                Err(EgressCode::HttpProtocolError),
            ];
            assert!(refusals.contains(&refused), "{uri}: {refused:?}");
        }
    }
    let with_tls = format!("https://door.test:{}/", door.address.port());
    for location in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1:1/",
        "http:127.0.0.1",
        "http:///x",
        &with_tls,
    ] {
        let refused = code(&egress, get(door.at("door.test") + "/302?" + location), follow).await;
        assert!(refused.is_err(), "{location}: {refused:?}");
    }
    assert_eq!(victim.accepted(), 0);
}

#[tokio::test]
async fn the_same_server_is_reached_when_it_is_granted_as_such() {
    let server = Server::http(|_| async { text(200, "yes") }).await;
    let names = Names::new(&[("db.test", "127.0.0.1"), ("mapped.test", "::ffff:127.0.0.1")]);
    for (grant, host) in [
        (server.origin(), "127.0.0.1"),
        (server.at("localhost"), "localhost"),
        (format!("private {}", server.at("db.test")), "db.test"),
        (format!("private {}", server.at("*.test")), "DB.test"),
        (format!("private {}", server.at("mapped.test")), "mapped.test"),
    ] {
        let answer = fetch(&egress(&[grant], names.clone()), server.at(host)).await;
        assert_eq!(answer, Ok((200, "yes".to_owned())), "{host}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_checked_at_every_connection() {
    // Each connection serves one request, so each call resolves anew.
    let server = Server::raw(|_, mut stream| async move {
        super::setting::answer(
            &mut stream,
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
    })
    .await;
    let names = Names::new(&[
        ("rebind.test", "127.0.0.1"),
        ("rebind.test", "169.254.169.254"),
        ("rebind.test", "169.254.169.254 127.0.0.1"),
    ]);
    let egress = egress(&[format!("private {}", server.at("rebind.test"))], names.clone());
    let uri = server.at("rebind.test");
    let options = EgressOptions::default();
    assert_eq!(code(&egress, get(&uri), options).await, Ok(200));
    assert_eq!(code(&egress, get(&uri), options).await, Err(EgressCode::DestinationIpProhibited));
    assert_eq!(code(&egress, get(&uri), options).await, Ok(200), "of two addresses, the permitted one");
    assert_eq!(
        names.lookups.load(Ordering::SeqCst),
        3,
        "what was checked is connected to, not looked up again"
    );
}

#[tokio::test]
async fn a_refusal_prints_the_line_to_write() {
    let egress = egress(&["http://a.test"], Names::new(&[("a.test", "10.1.2.3")]));
    let refused = fetch(&egress, "https://API.example.com/x").await.unwrap_err();
    assert_eq!(
        refused.detail(),
        "plugin \"notes\" calls https://api.example.com, which it was not granted. Write in wharf.toml, in \
         [plugin.notes.grants]: http = [\"http://a.test\", \"https://api.example.com\"]"
    );
    let refused = fetch(&egress, "http://a.test/").await.unwrap_err();
    assert_eq!(
        refused.detail(),
        "plugin \"notes\" calls http://a.test, which is at 10.1.2.3, a private address. If it may, write in \
         wharf.toml, in [plugin.notes.grants]: http = [{ origin = \"http://a.test\", private = true }]"
    );
}
