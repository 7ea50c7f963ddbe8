//! Values that a client streams: lines of JSON.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt;
use wharf_call::units::show_size;
use wharf_call::{Body, Failure, Kind, Memory, MemoryUse, Reservation, Type, ValueStream};

use crate::json::{Limits, Plan, decode};

/// The lines of a body, of which one at a time is held.
pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Of the buffer, how much is known to have no line break.
    searched: usize,
    reservation: Reservation,
    bytes_max: u64,
    number: u64,
    ended: bool,
}

impl Lines {
    /// # Errors
    /// [`Kind::Overloaded`] when the host has no memory.
    pub(super) fn new(body: Body, bytes_max: u64, memory: &Arc<dyn Memory>) -> Result<Self, Failure> {
        let reservation = memory.reserve(MemoryUse::Bodies, 0).ok_or_else(overloaded)?;
        Ok(Lines {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            reservation,
            bytes_max,
            number: 0,
            ended: false,
        })
    }

    /// The next line that is not empty.
    ///
    /// # Errors
    /// [`Kind::PayloadTooLarge`] for a line beyond the limit; what cut the body short.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            let line = match found {
                Some(at) => {
                    let line = self.buffer.split_to(self.searched + at).freeze();
                    self.buffer.advance(1);
                    self.searched = 0;
                    line
                }
                None if self.ended && self.buffer.is_empty() => return Ok(None),
                None if self.ended => {
                    self.searched = 0;
                    self.buffer.split().freeze()
                }
                None => {
                    self.searched = self.buffer.len();
                    self.fill().await?;
                    continue;
                }
            };
            self.number += 1;
            if line.len() as u64 > self.bytes_max {
                return Err(self.too_long(self.number));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        let Some(frame) = self.body.frame().await else {
            self.ended = true;
            return Ok(());
        };
        let Ok(data) = frame?.into_data() else { return Ok(()) };
        let length = (self.buffer.len() + data.len()) as u64;
        let tail = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
        if (self.buffer.len() + tail) as u64 > self.bytes_max {
            return Err(self.too_long(self.number + 1));
        }
        let held = self.reservation.bytes();
        if 2 * length > held && !self.reservation.grow(2 * length - held) {
            return Err(overloaded());
        }
        self.buffer.extend_from_slice(&data);
        Ok(())
    }

    fn too_long(&self, number: u64) -> Failure {
        let max = show_size(self.bytes_max);
        let text = format!("Line {number} is longer than {max}, which is the most that is taken here.");
        Failure::new(Kind::PayloadTooLarge, text)
    }

    /// What is wrong with the line that was read last.
    pub(super) fn wrong(&self, text: impl std::fmt::Display) -> Failure {
        Failure::new(Kind::BadRequest, format!("line {}: {text}", self.number))
    }
}

fn overloaded() -> Failure {
    Failure::new(Kind::Overloaded, "The host has no memory for this body now.").with_retry_after_s(1)
}

/// Why a stream of lines ended early: what the client is told, whatever the plugin makes of it.
#[derive(Clone, Default)]
pub(super) struct Cause(Arc<Mutex<Option<Failure>>>);

impl Cause {
    pub(super) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The values of type `ty` in the rest of `lines`.
pub(super) fn values(lines: Lines, plan: Arc<Plan>, ty: Type, limits: Limits, cause: Cause) -> ValueStream {
    Box::pin(stream::unfold(Some(lines), move |lines| {
        let (plan, ty, cause) = (plan.clone(), ty.clone(), cause.clone());
        async move {
            let mut lines = lines?;
            let value = match lines.next().await {
                Ok(None) => return None,
                Ok(Some(line)) => decode(&plan, &ty, &line, limits).map_err(|error| lines.wrong(error)),
                Err(failure) => Err(failure),
            };
            match value {
                Ok(value) => Some((Ok(value), Some(lines))),
                Err(failure) => {
                    *cause.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.clone());
                    Some((Err(failure), None))
                }
            }
        }
    }))
}
