//! Connections that are held and say nothing.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Request;
use super::answer::Answer;
use crate::Result;

/// Lets this process and the servers that it starts have `files` open, as far as the system's hard limit goes.
///
/// # Errors
/// When the hard limit is lower.
pub(crate) fn allow_open_files(files: u64) -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < files) {
        if maximum.is_some_and(|maximum| maximum < files) {
            return Err(format!("{files} open files are needed; raise the hard limit of `ulimit -n`").into());
        }
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })?;
    }
    Ok(())
}

/// Connections that were kept alive after one request each.
pub(crate) struct Held(Vec<TcpStream>);

impl Held {
    /// Opens `count` connections and sends `request` on each.
    pub(crate) fn open(addr: SocketAddr, request: Request, count: usize) -> Result<Self> {
        let message = request.message(addr);
        let mut buffer = vec![0; 16 << 10];
        let mut held = Vec::with_capacity(count);
        for number in 0..count {
            let mut one = || -> io::Result<TcpStream> {
                let mut stream = TcpStream::connect(addr)?;
                stream.write_all(&message.bytes)?;
                let mut answer = Answer::default();
                loop {
                    let read = stream.read(&mut buffer)?;
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    if answer.read(&buffer[..read])?.is_some() {
                        return Ok(stream);
                    }
                }
            };
            held.push(one().map_err(|error| format!("connection {number} of {count}: {error}"))?);
        }
        Ok(Held(held))
    }

    /// How many of them the server has closed, or has sent something on.
    pub(crate) fn lost(&self) -> Result<usize> {
        let mut lost = 0;
        for stream in &self.0 {
            stream.set_nonblocking(true)?;
            let waits =
                matches!(stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            lost += usize::from(!waits);
        }
        Ok(lost)
    }
}
