//! A client that costs little beside the server: raw requests on kept-alive connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Result;

/// What one measurement has seen.
pub(crate) struct Driven {
    /// The time of every request, in nanoseconds, sorted.
    latencies_ns: Vec<u64>,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Driven {
    pub(crate) fn requests(&self) -> usize {
        self.latencies_ns.len()
    }

    /// The latency that `percent` of the requests did not exceed, in microseconds.
    pub(crate) fn percentile_us(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.latencies_ns.len() as f64).ceil() as usize;
        let ns = self.latencies_ns.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        ns as f64 / 1e3
    }
}

/// Keeps `connections` busy for `duration`: a closed loop. Every answer must be a 200.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn drive(
    addr: SocketAddr,
    path: &str,
    connections: usize,
    duration: Duration,
) -> Result<Driven> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..connections {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n");
        running.spawn(connection(addr, request, begun + duration));
    }
    // The client never sleeps: the kernel bills waking it to the server, and the more the slower the server is.
    let awake = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let mut latencies_ns = Vec::new();
    while let Some(ended) = running.join_next().await {
        latencies_ns.extend(ended??);
    }
    let took = begun.elapsed();
    awake.abort();
    latencies_ns.sort_unstable();
    if latencies_ns.is_empty() {
        return Err("no request was answered".into());
    }
    Ok(Driven { latencies_ns, took })
}

async fn connection(addr: SocketAddr, request: String, end: Instant) -> std::io::Result<Vec<u64>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut latencies_ns = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(latencies_ns);
        }
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            if read == 0 {
                return Err(bad(&buffer[..filled], "ended within a response"));
            }
            filled += read;
            if is_complete(&buffer[..filled])? {
                break;
            }
        }
        latencies_ns.push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Whether `bytes` are one whole response with status 200 and a content-length.
fn is_complete(bytes: &[u8]) -> std::io::Result<bool> {
    let Some(head) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(false) };
    if !bytes.starts_with(b"HTTP/1.1 200 ") {
        return Err(bad(bytes, "is not a 200"));
    }
    let head_text = std::str::from_utf8(&bytes[..head]).map_err(|_| bad(bytes, "is not text"))?;
    let length = head_text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    let Some(length) = length else { return Err(bad(bytes, "has no content-length")) };
    Ok(bytes.len() >= head + 4 + length)
}

fn bad(bytes: &[u8], what: &str) -> std::io::Error {
    std::io::Error::other(format!("a response {what}: {:?}", String::from_utf8_lossy(bytes)))
}
