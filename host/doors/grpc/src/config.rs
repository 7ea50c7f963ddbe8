use std::fmt;
use std::sync::Arc;

use wharf_call::Memory;

/// How the door behaves.
#[derive(Clone)]
pub struct GrpcConfig {
    /// The largest message that is taken, after decompression, in bytes; 4 MiB. A larger one is RESOURCE_EXHAUSTED before
    /// it is buffered.
    pub message_in_bytes_max: usize,
    /// The largest message that is sent, before compression, in bytes; 4 MiB, which is what most clients accept.
    pub message_out_bytes_max: usize,
    /// The most memory that the values of one message may take, in bytes; 64 MiB. A message may expand: one byte of a packed
    /// list is a whole value.
    pub value_bytes_max: u64,
    /// Responses of at least so many bytes are compressed for clients that accept it; 1 KiB.
    pub compress_from_bytes: usize,
    /// Whether reflection is served; it is. Without it a client needs the `.proto` files.
    pub reflection: bool,
    /// Pays for messages while they are buffered.
    pub memory: Arc<dyn Memory>,
}

impl GrpcConfig {
    /// The defaults.
    pub fn new(memory: Arc<dyn Memory>) -> Self {
        GrpcConfig {
            message_in_bytes_max: 4 << 20,
            message_out_bytes_max: 4 << 20,
            value_bytes_max: 64 << 20,
            compress_from_bytes: 1 << 10,
            reflection: true,
            memory,
        }
    }
}

impl fmt::Debug for GrpcConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcConfig")
            .field("message_in_bytes_max", &self.message_in_bytes_max)
            .field("message_out_bytes_max", &self.message_out_bytes_max)
            .field("value_bytes_max", &self.value_bytes_max)
            .field("compress_from_bytes", &self.compress_from_bytes)
            .field("reflection", &self.reflection)
            .finish_non_exhaustive()
    }
}
