//! A closed loop: each connection sends its next request when the answer to the last one is complete.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::task::JoinSet;

use super::answer::Answer;
use super::{Driven, Message, Request, Waiting, all, nanoseconds};
use crate::Result;

/// Keeps `connections` busy for `duration`. Any answer but the right one ends it.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn drive(
    addr: SocketAddr,
    request: Request,
    connections: usize,
    waiting: Waiting,
    duration: Duration,
) -> Result<Driven> {
    let message = Arc::new(request.message(addr));
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..connections {
        running.spawn(connection(addr, message.clone(), begun + duration));
    }
    all(begun, waiting, running).await
}

async fn connection(addr: SocketAddr, message: Arc<Message>, end: Instant) -> io::Result<Vec<u64>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut latencies_ns = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut answer = Answer::default();
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(latencies_ns);
        }
        exchange(&mut reader, &mut writer, &message, &mut answer, &mut buffer).await?;
        latencies_ns.push(nanoseconds(sent.elapsed()));
    }
}

async fn exchange(
    reader: &mut ReadHalf<'_>,
    writer: &mut WriteHalf<'_>,
    message: &Message,
    answer: &mut Answer,
    buffer: &mut [u8],
) -> io::Result<()> {
    let read = async {
        loop {
            let count = reader.read(buffer).await?;
            if count == 0 {
                return Err(io::Error::other("the connection ended within an answer"));
            }
            if let Some(body_bytes) = answer.read(&buffer[..count])? {
                return message.check(body_bytes);
            }
        }
    };
    if message.answer_bytes.is_none() {
        writer.write_all(&message.bytes).await?;
        return read.await;
    }
    // An echo may begin to answer before it has read everything, and wait for us to read.
    let (written, read) = tokio::join!(writer.write_all(&message.bytes), read);
    written.and(read)
}
