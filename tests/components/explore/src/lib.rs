//! Files and sockets through the standard library, which imports them in WASI 0.2. Not a guest itself.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::{fs, iter};

/// Does what `path` names with what `field` finds: `x-path` and `x-text` for files, `x-peer` for sockets. What came
/// of it, or `error: ` and the kind of the error.
pub fn explore(path: &str, field: impl Fn(&str) -> Option<String>) -> String {
    let text = |name: &str| field(name).unwrap_or_default();
    let (file, peer) = (text("x-path"), text("x-peer"));
    let done = match path {
        "/read" => fs::read_to_string(file),
        "/write" => fs::write(file, text("x-text")).map(|()| "written".into()),
        "/open-many" => open_many(&file),
        "/tcp" => ping(&peer),
        "/resolve" => resolve(&peer),
        "/listen" => TcpListener::bind(peer).map(|_| "listening".into()),
        "/udp" => UdpSocket::bind("0.0.0.0:0")
            .and_then(|socket| socket.send_to(b"ping", peer))
            .map(|_| "sent".into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    done.unwrap_or_else(|error| format!("error: {:?}", error.kind()))
}

/// Opens the file again and again and closes it never.
fn open_many(file: &str) -> io::Result<String> {
    let open: Vec<fs::File> = iter::repeat_with(|| fs::File::open(file)).collect::<io::Result<_>>()?;
    Ok(open.len().to_string())
}

/// Says `ping` and returns what the peer answers before it hangs up.
fn ping(peer: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(peer)?;
    stream.write_all(b"ping\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn resolve(peer: &str) -> io::Result<String> {
    let mut found: Vec<String> = peer.to_socket_addrs()?.map(|address| address.to_string()).collect();
    found.sort();
    Ok(found.join(" "))
}
