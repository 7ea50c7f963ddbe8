//! Uses files and sockets through WASI 0.3, as the fields of the request ask for: `x-path` and `x-text` for files,
//! `x-peer` for sockets. Nothing in it knows of Wharf.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode as FileError, OpenFlags, PathFlags};
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    ErrorCode as SocketError, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    TcpSocket, UdpSocket,
};
use wasip3::wit_bindgen::{StreamReader, StreamResult, spawn};
use wasip3::{wit_future, wit_stream};

wasip3::http::service::export!(Service);

struct Service;

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let fields = request.get_headers();
        let field = |name: &str| {
            let value = fields.get(name).into_iter().next().unwrap_or_default();
            String::from_utf8_lossy(&value).into_owned()
        };
        let (path, text, peer) = (field("x-path"), field("x-text"), field("x-peer"));
        drop(fields);
        Ok(answer(match &*request.get_path_with_query().unwrap_or_default() {
            "/read" => said(read(&path).await),
            "/write" => said(write(&path, text).await),
            "/link" => said(link(&path, text).await),
            "/tcp" => said(ping(&peer).await),
            "/resolve" => said(resolve(peer).await),
            "/listen" => said(listen(&peer)),
            "/udp" => said(UdpSocket::create(IpAddressFamily::Ipv4).map(|_| "created".to_owned())),
            _ => "error: NotFound".to_owned(),
        }))
    }
}

/// `error: ` and the name of the case.
fn said<E: Debug>(done: Result<String, E>) -> String {
    done.unwrap_or_else(|error| {
        let text = format!("{error:?}");
        let name = text.rsplit("::").next().unwrap_or_default();
        format!("error: {}", name.split(['(', ' ', '{']).next().unwrap_or_default())
    })
}

/// The directory that `path` is in, and the rest of the path.
fn dir_of(path: &str) -> Result<(Descriptor, String), FileError> {
    let dirs = get_directories().into_iter();
    let mut found =
        dirs.filter_map(|(dir, at)| Some((dir, path.strip_prefix(&at)?.strip_prefix('/')?.to_owned())));
    found.next().ok_or(FileError::NoEntry)
}

async fn read(path: &str) -> Result<String, FileError> {
    let (dir, rest) = dir_of(path)?;
    let file =
        dir.open_at(PathFlags::SYMLINK_FOLLOW, rest, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (bytes, end) = file.read_via_stream(0);
    let text = all(bytes).await;
    end.await?;
    Ok(text)
}

async fn write(path: &str, text: String) -> Result<String, FileError> {
    let (dir, rest) = dir_of(path)?;
    let file =
        dir.open_at(PathFlags::SYMLINK_FOLLOW, rest, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (mut writer, bytes) = wit_stream::new();
    let end = file.write_via_stream(bytes, 0);
    writer.write_all(text.into_bytes()).await;
    drop(writer);
    end.await?;
    Ok("written".into())
}

/// Makes a symbolic link at `path`.
async fn link(path: &str, target: String) -> Result<String, FileError> {
    let (dir, rest) = dir_of(path)?;
    dir.symlink_at(target, rest).await?;
    Ok("linked".into())
}

async fn all(mut bytes: StreamReader<u8>) -> String {
    let mut text = Vec::new();
    loop {
        let (status, chunk) = bytes.read(Vec::with_capacity(4096)).await;
        text.extend_from_slice(&chunk);
        if status == StreamResult::Dropped {
            return String::from_utf8_lossy(&text).into_owned();
        }
    }
}

/// Says `ping` and returns what the peer answers before it hangs up.
async fn ping(peer: &str) -> Result<String, SocketError> {
    let address: SocketAddr = peer.parse().map_err(|_| SocketError::InvalidArgument)?;
    let socket = TcpSocket::create(family(address.ip()))?;
    socket.connect(lower(address)).await?;
    let (mut writer, bytes) = wit_stream::new();
    let sent = socket.send(bytes);
    writer.write_all(b"ping\n".to_vec()).await;
    drop(writer);
    sent.await?;
    let (received, end) = socket.receive();
    let text = all(received).await;
    end.await?;
    Ok(text)
}

fn listen(peer: &str) -> Result<String, SocketError> {
    let address: SocketAddr = peer.parse().map_err(|_| SocketError::InvalidArgument)?;
    let socket = TcpSocket::create(family(address.ip()))?;
    socket.bind(lower(address))?;
    socket.listen()?;
    Ok("listening".into())
}

async fn resolve(name: String) -> Result<String, impl Debug> {
    resolve_addresses(name).await.map(|found| {
        let mut found: Vec<String> = found.into_iter().map(|address| format!("{address:?}")).collect();
        found.sort();
        found.join(" ")
    })
}

fn family(ip: IpAddr) -> IpAddressFamily {
    if ip.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 }
}

fn lower(address: SocketAddr) -> IpSocketAddress {
    let port = address.port();
    match address.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) })
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h] = ip.segments();
            let address = (a, b, c, d, e, f, g, h);
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })
        }
    }
}

fn answer(text: String) -> Response {
    let (mut writer, body) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    spawn(async move {
        writer.write_all(text.into_bytes()).await;
        drop(writer);
        let _ = end.write(Ok(None)).await;
    });
    Response::new(Fields::new(), Some(body), trailers).0
}
