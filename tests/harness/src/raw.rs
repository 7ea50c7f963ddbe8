use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why a wait for bytes ended without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The host has closed the connection.
    Closed,
    /// It has not come within 15 seconds.
    Silent,
}

/// A TCP connection for bytes that no HTTP client would send.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// How long a read may take.
    const WAIT: Duration = Duration::from_secs(15);

    /// Connects; a host that does not accept is a panic.
    pub async fn connect(addr: SocketAddr) -> Raw {
        let stream =
            TcpStream::connect(addr).await.unwrap_or_else(|error| panic!("connecting to {addr}: {error}"));
        stream.set_nodelay(true).unwrap();
        Raw { stream, received: Vec::new() }
    }

    /// Sends bytes. A host that has stopped reading is none of the sender's business.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Reads until `done` accepts all that has been received, or says why that did not happen. The bytes
    /// stay in [`Raw::received`].
    pub async fn read_until(&mut self, done: impl Fn(&[u8]) -> bool) -> Result<(), Stopped> {
        let read = async {
            while !done(&self.received) {
                // A reset after the answer is an end too: the host may close with bytes of ours unread.
                match self.stream.read_buf(&mut self.received).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Err(Stopped::Closed),
                }
            }
            Ok(())
        };
        tokio::time::timeout(Self::WAIT, read).await.unwrap_or(Err(Stopped::Silent))
    }

    /// Reads to the end of the connection; a host that keeps it open is a panic.
    pub async fn read_to_end(&mut self) -> &[u8] {
        let stopped = self.read_until(|_| false).await;
        assert_eq!(stopped, Err(Stopped::Closed), "after {:?}", self.text());
        &self.received
    }

    /// Everything that has been received so far.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// The same as text, with anything that is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}
