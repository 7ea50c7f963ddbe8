//! How a group becomes durable and visible.
//!
//! A group goes one of two ways. Most go through the log (`log.rs`): what the group did is written and
//! flushed there, and becomes a layer of what readers see (`view.rs`). redb has no part in that: a commit,
//! also one without a flush, costs half as much as the flush of a page. When the log has no room for a group,
//! the group is part of a *checkpoint*: a commit, durable in redb's file, of all layers and the group over
//! them; the log begins again. So a group that is larger than the log, and a log that is full, are the same
//! case. A checkpoint also comes when the layers have many keys, when nothing was written for a while, so
//! that a start after a crash has little to do, and when the store is closed.
//!
//! Invariant: a view is published after everything in it is on the disk, never before. Were it the other way
//! round, readers would see, and act upon, what a crash takes back. And a group whose flush failed is not
//! published: it is neither shown nor acknowledged, although the disk may have it, and the next opening may
//! find it there. (The port calls that unknown.)
//!
//! Invariant: redb commits at checkpoints only. So its newest commit is what its file has, together with the
//! mark of the round that comes after it, and the layers are what is in the log since, no more and no less.
//! Whatever of the file is cached, or written when it is closed, cannot be ahead of the log.
//!
//! Invariant: nothing is acknowledged after the storage has failed once. When a flush fails, the kernel
//! may have dropped the very pages it could not write, and the next flush succeeds without them (A.
//! Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So the first failure
//! is the last group: every later write is refused until the store is opened again, which reads what
//! the disk has (`file.rs`).

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wharf_call::KeyValueError;

use crate::bucket::Bucket;
use crate::effects;
use crate::log::Log;
use crate::metrics::Commits;
use crate::plan::{Done, Operation, Plan};
use crate::tables::{self, Fault, Mark};
use crate::view::{Layer, Published, View};

/// A checkpoint is made at the latest when the layers have so many keys: they are in memory, and it takes
/// the longer, while writers wait, the more there are.
const LAYERS_KEYS_MAX: usize = 16_384;

/// What somebody wants to be written.
pub(crate) struct Write {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) operation: Operation,
}

/// What one write came to.
pub(crate) type Answer = Result<Done, KeyValueError>;

/// The only one who changes the store. Whoever has it, the thread of the queue or a caller, is alone.
pub(crate) struct Committer {
    published: Arc<Published>,
    log: Log,
    failed: Arc<OnceLock<String>>,
    commits: Commits,
    /// How long the last group took, and when it ended.
    last: Option<(Duration, Instant)>,
}

impl Committer {
    pub(crate) fn new(published: Arc<Published>, log: Log, failed: Arc<OnceLock<String>>) -> Self {
        Committer { published, log, failed, commits: Commits::new(), last: None }
    }

    /// Whether a checkpoint would have something to do.
    pub(crate) fn has_rest(&self) -> bool {
        !self.log.is_empty() && self.failed.get().is_none()
    }

    pub(crate) fn last_took(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |(took, _)| took)
    }

    /// How long nothing was written.
    pub(crate) fn idle(&self) -> Duration {
        self.last.map_or(Duration::MAX, |(_, ended)| ended.elapsed())
    }

    /// Does a group; when this returns, it is on the disk and visible. The answers are in the order of the
    /// writes. An error is everybody's.
    pub(crate) fn commit<'w>(
        &mut self,
        writes: impl ExactSizeIterator<Item = &'w Write> + Clone,
    ) -> Result<Vec<Answer>, KeyValueError> {
        if let Some(why) = self.failed.get() {
            return Err(KeyValueError::Unavailable(why.clone()));
        }
        let _guard = Unfinished(self.failed.clone());
        self.make_durable(writes).map_err(|Fault(error)| self.fail(&error))
    }

    /// Empties the log, while there is nothing else to do.
    pub(crate) fn rest(&mut self, close: bool) {
        if self.failed.get().is_some() {
            return;
        }
        let _guard = Unfinished(self.failed.clone());
        if let Err(Fault(error)) = self.checkpoint(None, close) {
            // Nothing is lost by that: the log has everything.
            self.fail(&error);
        }
    }

    fn make_durable<'w>(
        &mut self,
        writes: impl ExactSizeIterator<Item = &'w Write> + Clone,
    ) -> Result<Vec<Answer>, Fault> {
        let begun = Instant::now();
        let view = self.published.view();
        let mut plan = Plan::new(&view);
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes.clone() {
            answers.push(plan.decide(&write.bucket, &write.operation)?);
        }
        let Some(layer) = plan.finish().map(Arc::new) else { return Ok(answers) };
        let room = if view.keys() < LAYERS_KEYS_MAX { self.log.room() } else { 0 };
        if let Some(record) = effects::record(layer.each(), room) {
            self.log.append(&record).map_err(Fault::in_the_log)?;
            self.published.publish(view.with(layer.clone()));
        } else {
            self.checkpoint(Some(&layer), false)?;
        }
        let ended = Instant::now();
        let took = ended - begun;
        self.last = Some((took, ended));
        self.commits.committed(took, answers.len());
        for write in writes {
            if let Some(changed) = layer.bucket(write.bucket.name()) {
                write.bucket.set_used(changed.used);
            }
        }
        Ok(answers)
    }

    /// Commits what is in the log, and `newest` over it, in redb's file, and begins the log again.
    fn checkpoint(&mut self, newest: Option<&Arc<Layer>>, closed: bool) -> Result<(), Fault> {
        let begun = Instant::now();
        let round = self.log.round() + 1;
        let transaction = self.published.database().begin_write().map_err(Fault::new)?;
        tables::apply(&transaction, self.published.view().layers().iter().chain(newest))?;
        tables::checkpoint(transaction, Mark { log: self.log.id(), round, closed }).map_err(Fault)?;
        self.log.begin(round);
        self.published.publish(View::open(self.published.database())?);
        self.commits.checkpoint(begun.elapsed());
        Ok(())
    }

    /// Refuses all writes from now on.
    fn fail(&self, error: &redb::Error) -> KeyValueError {
        let why = format!("a write failed, and none is taken until a restart: {error}");
        tracing::error!("the key-value store: {why}");
        KeyValueError::Unavailable(self.failed.get_or_init(|| why).clone())
    }
}

/// Refuses all writes from now on if it is dropped by a panic: how far that one came is not known.
struct Unfinished(Arc<OnceLock<String>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.get_or_init(|| "a write panicked, and none is taken until a restart".to_owned());
        }
    }
}
