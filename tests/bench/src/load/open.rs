//! An open loop: requests are due at a fixed rate, whatever the server does.
//!
//! Request number `n` is due `n / rate` after the start. It is sent by the next connection that is free, and its
//! latency counts from when it was due, not from when it could be sent: a server that stalls is charged for
//! everything that was due meanwhile (no "coordinated omission").

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::{Driven, Message, Request, nanoseconds};
use crate::Result;

/// A request that is not answered for so long is an error, and its connection is given up.
const PATIENCE: Duration = Duration::from_secs(5);

struct Connection {
    stream: TcpStream,
    answer: Answer,
    /// When the request was due that it works on.
    due: Instant,
}

/// Sends `rate` requests a second for `duration` over at most `connections` connections, and waits for the
/// answers.
///
/// One thread turns over its connections and never sleeps: timers of the system are coarser than what is
/// to be measured, and being woken costs more.
pub(crate) fn drive(
    addr: SocketAddr,
    request: Request,
    connections: usize,
    rate: u32,
    duration: Duration,
) -> Result<Driven> {
    let message = request.message(addr);
    let interval = Duration::from_secs(1) / rate;
    let requests = (duration.as_secs_f64() * f64::from(rate)) as u32;
    let mut free = (0..connections).map(|_| connect(addr)).collect::<io::Result<Vec<_>>>()?;
    let mut busy: Vec<Connection> = Vec::with_capacity(connections);
    let mut buffer = vec![0; 64 << 10];
    let mut latencies_ns = Vec::with_capacity(requests as usize);
    let mut errors = 0;
    let mut sent = 0;
    let begun = Instant::now();
    while sent < requests || !busy.is_empty() {
        while sent < requests {
            let due = begun + interval * sent;
            if due > Instant::now() {
                break;
            }
            let Some(mut connection) = free.pop() else { break };
            sent += 1;
            connection.due = due;
            // A request is small, and the socket's buffer is empty.
            match connection.stream.write_all(&message.bytes) {
                Ok(()) => busy.push(connection),
                Err(_) => {
                    errors += 1;
                    free.push(connect(addr)?);
                }
            }
        }
        let mut at = 0;
        while at < busy.len() {
            match poll(&mut busy[at], &message, &mut buffer) {
                Ok(false) if busy[at].due.elapsed() < PATIENCE => at += 1,
                Ok(true) => {
                    let connection = busy.swap_remove(at);
                    latencies_ns.push(nanoseconds(connection.due.elapsed()));
                    free.push(connection);
                }
                Ok(false) | Err(_) => {
                    errors += 1;
                    busy.swap_remove(at);
                    free.push(connect(addr)?);
                }
            }
        }
    }
    Driven::new(latencies_ns, begun.elapsed(), errors)
}

fn connect(addr: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(Connection { stream, answer: Answer::default(), due: Instant::now() })
}

/// Whether the answer is complete.
fn poll(connection: &mut Connection, message: &Message, buffer: &mut [u8]) -> io::Result<bool> {
    match connection.stream.read(buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => match connection.answer.read(&buffer[..count])? {
            Some(body_bytes) => message.check(body_bytes).map(|()| true),
            None => Ok(false),
        },
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
