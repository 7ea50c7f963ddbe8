//! What the host tells the process that compiles for it: a head of fixed size, then the component.
//!
//! Both ends are the same program, so there is nothing to negotiate: a head that is not exactly this one is
//! not from the host.

use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::time::Duration;

use aws_lc_rs::digest;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

const MAGIC: &[u8; 8] = b"WHARFJOB";

/// What decides the code that is made, and differs between hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeSettings {
    /// The address space of a memory: what is beyond it has to be checked by the code.
    pub(crate) memory_reservation: u64,
}

impl CodeSettings {
    /// The configuration that everything that compiles or runs a component starts from. Whatever changes the
    /// code that is made is set here and nowhere else.
    pub(crate) fn config(self) -> Config {
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            // Types that callers can use, and that no component without them notices.
            .wasm_component_model_fixed_length_lists(true)
            .wasm_component_model_map(true)
            .memory_reservation(self.memory_reservation)
            .wasm_backtrace_details(WasmBacktraceDetails::Enable);
        config
    }
}

/// A digest over everything that makes code of one engine loadable by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compatibility(pub(super) [u8; 32]);

impl Compatibility {
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut hasher = Sha256Hasher(digest::Context::new(&digest::SHA256));
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Compatibility(hasher.digest())
    }
}

/// What compiling one component may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// From the start of the process to its end.
    pub(crate) time: Duration,
    /// What the process may allocate, in bytes, and the largest code that it may make.
    pub(crate) memory_bytes: u64,
    /// How many threads compile.
    pub(crate) threads: u32,
}

/// Everything that the process needs to know beside the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// The process that wants it. Nobody else is worked for.
    pub(super) parent: u32,
    pub(super) settings: CodeSettings,
    /// What the engine must come to.
    pub(super) compatibility: Compatibility,
    pub(super) bounds: Bounds,
    /// Whether the component's debug information is kept.
    pub(super) debug_info: bool,
    pub(super) component_bytes: u64,
}

impl Job {
    pub(super) const BYTES: usize = 8 + 4 + 8 + 32 + 8 + 8 + 4 + 1 + 8;

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.parent.to_le_bytes());
        bytes.extend_from_slice(&self.settings.memory_reservation.to_le_bytes());
        bytes.extend_from_slice(&self.compatibility.0);
        let time_ms = u64::try_from(self.bounds.time.as_millis()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&time_ms.to_le_bytes());
        bytes.extend_from_slice(&self.bounds.memory_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.bounds.threads.to_le_bytes());
        bytes.push(u8::from(self.debug_info));
        bytes.extend_from_slice(&self.component_bytes.to_le_bytes());
        bytes
    }

    /// # Errors
    /// When the input ends, or is not what [`Job::to_bytes`] makes.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(io::Error::other("this is no job of a host"));
        }
        Ok(Job {
            parent: u32::from_le_bytes(array(input)?),
            settings: CodeSettings { memory_reservation: u64::from_le_bytes(array(input)?) },
            compatibility: Compatibility(array(input)?),
            bounds: Bounds {
                time: Duration::from_millis(u64::from_le_bytes(array(input)?)),
                memory_bytes: u64::from_le_bytes(array(input)?),
                threads: u32::from_le_bytes(array(input)?),
            },
            debug_info: array::<1>(input)? == [1],
            component_bytes: u64::from_le_bytes(array(input)?),
        })
    }
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Lets wasmtime's hashable description of an engine be digested with SHA-256.
struct Sha256Hasher(digest::Context);

impl Sha256Hasher {
    fn digest(&self) -> [u8; 32] {
        self.0.clone().finish().as_ref().try_into().unwrap_or_default()
    }
}

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.digest();
        u64::from_le_bytes(digest.first_chunk::<8>().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_back_as_it_was_written() {
        let job = Job {
            parent: 1,
            settings: CodeSettings { memory_reservation: 2 },
            compatibility: Compatibility([3; 32]),
            bounds: Bounds { time: Duration::from_millis(4), memory_bytes: 5, threads: 6 },
            debug_info: true,
            component_bytes: 7,
        };
        let bytes = job.to_bytes();
        assert_eq!(bytes.len(), Job::BYTES);
        assert_eq!(Job::read(&mut bytes.as_slice()).expect("our own"), job);
        for length in 0..bytes.len() {
            assert!(Job::read(&mut &bytes[..length]).is_err(), "length {length}");
        }
        assert!(Job::read(&mut [b'x'; Job::BYTES].as_slice()).is_err());
    }
}
