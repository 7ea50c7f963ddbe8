//! Resident memory: of a host with one plugin, and of each instance that waits in its pool.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde::Serialize;
use wharf_harness::components::KITCHEN;
use wharf_harness::process;

use super::Programs;
use crate::Result;
use crate::load::Request;
use crate::load::idle::Held;
use crate::server::Server;

/// How many instances are made beside the one that is always there.
const INSTANCES: usize = 500;
const POOL: &str = "[plugin.it.pool]\nmax = 501\n";
/// Every one of them is busy for so long, so that all of them are needed.
const WAIT: Request = Request::get("/wait?ms=2000");

/// In bytes.
#[derive(Serialize)]
pub(crate) struct Memory {
    /// Of a host with one plugin that has answered a request and is idle.
    pub(crate) idle: u64,
    pub(crate) instances: usize,
    /// What each more instance that waits in the pool keeps resident.
    pub(crate) per_instance: f64,
    /// The part of it that is pages of the guest's own memory, which it has written to.
    pub(crate) guest: f64,
}

impl Memory {
    /// What the host itself keeps for an idle instance.
    pub(crate) fn host(&self) -> f64 {
        self.per_instance - self.guest
    }
}

pub(crate) fn measure(programs: &Programs) -> Result<Memory> {
    eprintln!("resident memory");
    let everything = Request::get("/{*path}");
    // The first start may have to compile, and compiling leaves memory behind that is no host's in service.
    drop(programs.wharf(KITCHEN, everything, POOL)?);
    let server = programs.wharf(KITCHEN, everything, POOL)?;
    // Connections are opened first and stay: what they cost is not an instance's.
    let mut connections = Vec::with_capacity(INSTANCES);
    let idle = {
        Held::open(server.addr(), WAIT_NOT, 1)?;
        process::rss_bytes(server.pid())
    };
    for _ in 0..INSTANCES {
        let mut stream = TcpStream::connect(server.addr())?;
        ask(&mut stream, &server, WAIT_NOT)?;
        answered(&mut stream)?;
        connections.push(stream);
    }
    let before = (process::rss_bytes(server.pid()), guest_bytes(server.pid())?);
    for stream in &mut connections {
        ask(stream, &server, WAIT)?;
    }
    for stream in &mut connections {
        answered(stream)?;
    }
    let after = (process::rss_bytes(server.pid()), guest_bytes(server.pid())?);
    let per_instance = |before: u64, after: u64| (after as f64 - before as f64) / INSTANCES as f64;
    Ok(Memory {
        idle,
        instances: INSTANCES,
        per_instance: per_instance(before.0, after.0),
        guest: per_instance(before.1, after.1),
    })
}

const WAIT_NOT: Request = Request::get("/hello");

fn ask(stream: &mut TcpStream, server: &Server, request: Request) -> Result<()> {
    Ok(stream.write_all(&request.message(server.addr()).bytes)?)
}

fn answered(stream: &mut TcpStream) -> Result<()> {
    let mut answer = crate::load::answer::Answer::default();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err("the connection ended within an answer".into());
        }
        if answer.read(&buffer[..count])?.is_some() {
            return Ok(());
        }
    }
}

/// The pages of linear memories that guests have written to, from `/proc/PID/smaps`.
///
/// A linear memory begins with a private mapping of the image that the engine keeps of a component's data; what
/// the guest has grown into, or may, is an anonymous mapping right behind it.
fn guest_bytes(pid: u32) -> Result<u64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps"))?;
    let mut bytes = 0;
    // The end of the linear memory so far, while the mappings are still its own.
    let mut memory_end = None;
    let mut counts = false;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let accessible = words.next().is_some_and(|access| access.starts_with("rw"));
            let image = line.contains("wasm-memory-image");
            let follows = memory_end == Some(start.to_owned()) && !line.contains('/') && !line.contains('[');
            counts = accessible && (image || follows);
            memory_end = counts.then(|| end.to_owned());
        } else if counts && matches!(first, "Private_Dirty:") {
            bytes += words.next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1024;
        }
    }
    Ok(bytes)
}
