//! Which peers a plugin may look up and connect to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use wharf_call::Outbound;
use wharf_call::egress::{PeerError, PeerGrant, PeerGrants, Peers};

use super::setting::{Names, upstream};

/// `"private a.test:1"` is a grant with `private = true`.
fn peers(lines: &[&str], names: Arc<Names>) -> Arc<dyn Peers> {
    let read = |line: &&str| match line.strip_prefix("private ") {
        Some(peer) => PeerGrant::parse(peer).unwrap().with_private(true),
        None => PeerGrant::parse(line).unwrap(),
    };
    let grants = PeerGrants { peers: lines.iter().map(read).collect() };
    upstream(names, Vec::new()).peers("notes", &grants)
}

fn may(peers: &Arc<dyn Peers>, address: &str) -> bool {
    peers.may_connect(address.parse::<SocketAddr>().unwrap())
}

#[tokio::test]
async fn a_granted_name_is_connected_to_where_it_was_resolved_to() {
    let names = Names::new(&[("db.test", "1.1.1.1 10.0.0.1"), ("db.test", "8.8.8.8")]);
    let peers = peers(&["db.test:5432"], names.clone());
    assert!(!may(&peers, "1.1.1.1:5432"), "nobody has looked it up");
    assert_eq!(peers.resolve("DB.test").await.unwrap(), ["1.1.1.1".parse::<std::net::IpAddr>().unwrap()]);
    assert!(may(&peers, "1.1.1.1:5432"));
    for other in ["1.1.1.1:5433", "10.0.0.1:5432", "8.8.8.8:5432", "127.0.0.1:5432"] {
        assert!(!may(&peers, other), "{other}");
    }
    peers.resolve("db.test").await.unwrap();
    assert!(may(&peers, "8.8.8.8:5432"));
    assert!(may(&peers, "1.1.1.1:5432"), "whoever was told the address before may still use it");
    assert_eq!(names.lookups.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn other_names_are_not_even_looked_up() {
    let names = Names::new(&[("other.test", "1.1.1.1")]);
    let peers = peers(&["db.test:5432", "127.0.0.1:6379"], names.clone());
    for (name, error) in [
        ("other.test", PeerError::Denied),
        ("x.db.test", PeerError::Denied),
        ("localhost", PeerError::Denied),
        ("127.0.0.2", PeerError::Denied),
        ("::1", PeerError::Denied),
        ("2130706433", PeerError::Invalid),
        ("127.1", PeerError::Invalid),
        ("db.test.", PeerError::Invalid),
        ("", PeerError::Invalid),
    ] {
        assert_eq!(peers.resolve(name).await, Err(error), "{name}");
    }
    assert_eq!(names.lookups.load(Ordering::SeqCst), 0);
    assert_eq!(peers.resolve("db.test").await, Err(PeerError::Unresolvable));
}

#[tokio::test]
async fn private_addresses_need_to_be_granted_as_such() {
    let script =
        [("db.test", "10.0.0.1"), ("meta.test", "169.254.169.254"), ("mapped.test", "::ffff:127.0.0.1")];
    let plain = peers(&["db.test:1", "meta.test:1", "mapped.test:1"], Names::new(&script));
    let private = peers(&["private db.test:1", "private meta.test:1"], Names::new(&script));
    for name in ["db.test", "meta.test", "mapped.test"] {
        assert_eq!(plain.resolve(name).await, Err(PeerError::Denied), "{name}");
    }
    assert_eq!(private.resolve("db.test").await.map(|found| found.len()), Ok(1));
    assert!(may(&private, "10.0.0.1:1"));
    assert_eq!(private.resolve("meta.test").await, Err(PeerError::Denied), "not even then");
    assert!(!may(&private, "169.254.169.254:1"));
}

#[tokio::test]
async fn an_address_and_localhost_stand_for_themselves() {
    let names = Names::new(&[]);
    let peers = peers(&["127.0.0.1:6379", "localhost:5432", "[::1]:1"], names.clone());
    assert!(may(&peers, "127.0.0.1:6379") && may(&peers, "127.0.0.1:5432") && may(&peers, "[::1]:1"));
    for other in
        ["127.0.0.1:80", "127.0.0.2:6379", "[::ffff:127.0.0.1]:6379", "10.0.0.1:5432", "0.0.0.0:5432"]
    {
        assert!(!may(&peers, other), "{other}");
    }
    assert_eq!(peers.resolve("localhost").await.map(|found| found.len()), Ok(2));
    assert_eq!(names.lookups.load(Ordering::SeqCst), 0);
}
