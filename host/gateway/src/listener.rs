use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::config::Config;

/// Connections that the kernel keeps for us while all places are taken; it may keep fewer (`somaxconn`).
const BACKLOG: i32 = 1024;

/// How long to leave a system alone that has run out of descriptors or buffers.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound port that nobody is served on yet.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `config.listen`. Must be called within a tokio runtime that has I/O enabled.
    ///
    /// # Errors
    /// Those of the system: the port is taken, the address is not ours, or it may not be used.
    pub fn bind(config: &Config) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(config.listen), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the connections of the process before it to time out.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&config.listen.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let address = listener.local_addr()?;
        Ok(Listener { listener, address })
    }

    /// The address in use; its port is the one that the system chose when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next client. No error ends the listening: each is counted, some are waited out.
    pub(crate) async fn accept(&self, complaint: &mut Complaint) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Small frames must not wait for the acknowledgement of those before them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(client = %peer, %error, "TCP_NODELAY could not be set");
                    }
                    return (stream, peer);
                }
                Err(error) => {
                    complaint.about(&error);
                    match remedy(&error) {
                        Remedy::GoOn => {}
                        Remedy::Pause => tokio::time::sleep(PAUSE).await,
                    }
                }
            }
        }
    }
}

/// What to do about an error of `accept`.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    /// It was about one client, who is gone.
    GoOn,
    /// It would come back at once.
    Pause,
}

/// Linux also reports errors of the new connection from `accept` (accept(2), "Error handling"). What is not
/// known to be of that sort is waited out: a listener that spins is worse than one that is late.
fn remedy(error: &io::Error) -> Remedy {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(
            Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::INTR
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NOPROTOOPT
            | Errno::TIMEDOUT,
        ) => Remedy::GoOn,
        _ => Remedy::Pause,
    }
}

/// Logs errors of `accept`, at most one in a second.
#[derive(Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaint {
    fn about(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < Duration::from_secs(1)) {
            self.unsaid += 1;
            return;
        }
        tracing::warn!(%error, more = self.unsaid, "a connection could not be accepted");
        *self = Complaint { last: Some(now), unsaid: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy_of(errno: Errno) -> Remedy {
        remedy(&io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    #[test]
    fn a_system_without_descriptors_is_given_time_and_a_lost_client_is_not_waited_for() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL] {
            assert_eq!(remedy_of(errno), Remedy::Pause, "{errno:?}");
        }
        for errno in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO] {
            assert_eq!(remedy_of(errno), Remedy::GoOn, "{errno:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_errors_is_one_line_a_second() {
        let mut complaint = Complaint::default();
        let error = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        for _ in 0..10 {
            complaint.about(&error);
        }
        assert_eq!(complaint.unsaid, 9);
        tokio::time::advance(Duration::from_secs(1)).await;
        complaint.about(&error);
        assert_eq!(complaint.unsaid, 0);
    }
}
