//! The one thread that writes.
//!
//! Operations wait in a queue that is bounded by their bytes. The thread takes what waits, does it in one
//! transaction, makes that durable, and only then answers. A refused operation (a quota, a value that
//! is no number) changes nothing and does not disturb the others of its group.
//!
//! A group goes one of two ways. Most go through the log (`log.rs`): what the group did is written and
//! flushed there, and then the transaction is committed without a flush. When the log has no room for it,
//! the commit is a *checkpoint*: durable in redb's file, and with it every group before it; the log begins
//! again. So a group that is larger than the log, and a log that is full, are the same case. A checkpoint
//! also comes when nothing was written for a while, so that a start after a crash has little to do, and
//! when the store is closed.
//!
//! Invariant: a commit is made after its group is on the disk, never before. Readers see what is
//! committed; were it the other way round, they would see, and act upon, what a crash takes back. And a
//! group whose flush failed is not committed: it is neither shown nor acknowledged, although the disk may
//! have it, and the next opening may find it there. (The port calls that unknown.)
//!
//! Invariant: nothing is acknowledged after the storage has failed once. When a flush fails, the kernel
//! may have dropped the very pages it could not write, and the next flush succeeds without them (A.
//! Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So the first failure
//! is the last transaction: every later write is refused until the store is opened again, which reads what
//! the disk has (`file.rs`).
//!
//! Between two checkpoints redb cannot use again the pages that the newest checkpoint needs, so its file
//! grows, but by no more than what it held then: a page is replaced once, and what replaced it is used
//! again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use redb::{Database, Durability, WriteTransaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wharf_call::KeyValueError;

use crate::bucket::Bucket;
use crate::log::Log;
use crate::metrics::Commits;
use crate::tables::{self, Done, Fault, Finished, Group, Mark, Operation};

/// A group has at most so many operations, and begins its commit when it has so many bytes: the first of a
/// group waits for the last.
const GROUP_OPERATIONS_MAX: usize = 1_024;
const GROUP_BYTES_MAX: usize = 8 << 20;
/// How long a group waits for those that were in the group before: this part of a commit, and no longer
/// than this. Writers that were just answered often come back at once; without waiting for them, they
/// would fall into two halves that take turns.
const REJOIN_PART: u32 = 4;
const REJOIN_MAX: Duration = Duration::from_millis(1);

pub(crate) struct Writer {
    /// `None` only while dropping.
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    room: Arc<Semaphore>,
    room_bytes: usize,
    failed: Arc<OnceLock<String>>,
}

struct Job {
    bucket: Arc<Bucket>,
    operation: Operation,
    bytes: usize,
    answer: oneshot::Sender<Result<Done, KeyValueError>>,
    /// The place in the queue; it becomes free when the operation has been answered.
    room: [OwnedSemaphorePermit; 2],
}

impl Writer {
    /// Starts the thread. It ends when the writer is dropped, after everything that was accepted. It makes
    /// a checkpoint when nothing was written for `idle`.
    pub(crate) fn start(
        database: Arc<Database>,
        log: Log,
        idle: Duration,
        queue_bytes: u64,
    ) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let failed = Arc::new(OnceLock::new());
        let room_bytes = usize::try_from(queue_bytes).unwrap_or(usize::MAX).clamp(4, u32::MAX as usize >> 3);
        let worker = Worker {
            database,
            log,
            idle,
            jobs,
            failed: failed.clone(),
            commits: Commits::new(),
            last_group: 1,
            last_commit: Duration::ZERO,
        };
        let thread = thread::Builder::new().name("wharf-state".to_owned()).spawn(move || worker.run())?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
            room: Arc::new(Semaphore::new(room_bytes)),
            room_bytes,
            failed,
        })
    }

    /// The bytes of the queue that one bucket may take.
    pub(crate) fn share_bytes(&self) -> usize {
        self.room_bytes / 4
    }

    /// Does `operation`, durably. Waits for room in the queue first; until then, dropping the future means
    /// that nothing happens.
    pub(crate) async fn write(
        &self,
        bucket: Arc<Bucket>,
        operation: Operation,
    ) -> Result<Done, KeyValueError> {
        if let Some(why) = self.failed.get() {
            return Err(KeyValueError::Unavailable(why.clone()));
        }
        let bytes = operation.bytes();
        // One that is larger than its share waits until it is alone.
        let places = u32::try_from(bytes.min(self.share_bytes())).expect("start bounds the room");
        // The bucket's own share first: who waits for that holds no room that others could use.
        let share = bucket.share.clone().acquire_many_owned(places).await;
        let room = self.room.clone().acquire_many_owned(places).await;
        let room = [share, room].map(|permit| permit.expect("the semaphores are never closed"));
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().expect("only a writer that is being dropped has none");
        let ended = || KeyValueError::Unavailable("the writer has ended".to_owned());
        queue.send(Job { bucket, operation, bytes, answer, room }).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the key-value store had panicked");
        }
    }
}

struct Worker {
    database: Arc<Database>,
    log: Log,
    idle: Duration,
    jobs: Receiver<Job>,
    failed: Arc<OnceLock<String>>,
    commits: Commits,
    last_group: usize,
    last_commit: Duration,
}

impl Worker {
    fn run(mut self) {
        loop {
            let has_rest = !self.log.is_empty() && self.failed.get().is_none();
            let first = if has_rest {
                self.jobs.recv_timeout(self.idle)
            } else {
                self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match first {
                Ok(first) => {
                    let group = self.gather(first);
                    self.last_group = group.len();
                    self.serve(group);
                }
                Err(RecvTimeoutError::Timeout) => self.rest(false),
                Err(RecvTimeoutError::Disconnected) => return self.rest(true),
            }
        }
    }

    /// Empties the log while there is nothing else to do.
    fn rest(&mut self, close: bool) {
        if self.failed.get().is_some() {
            return;
        }
        let transaction = self.database.begin_write().map_err(fault);
        if let Err(Fault(error)) = transaction.and_then(|begun| self.checkpoint(begun, close)) {
            // Nothing is lost by that: the log has everything.
            self.fail(&error);
        }
    }

    /// Everything that waits, within the bounds of a group.
    fn gather(&self, first: Job) -> Vec<Job> {
        let until = Instant::now() + (self.last_commit / REJOIN_PART).min(REJOIN_MAX);
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while group.len() < GROUP_OPERATIONS_MAX && bytes < GROUP_BYTES_MAX {
            let next = match self.jobs.try_recv() {
                Err(TryRecvError::Empty) if group.len() < self.last_group => {
                    self.jobs.recv_timeout(until.saturating_duration_since(Instant::now()))
                }
                other => other.map_err(|_| RecvTimeoutError::Disconnected),
            };
            let Ok(next) = next else { break };
            bytes += next.bytes;
            group.push(next);
        }
        group
    }

    /// Does a group, and answers it when it is on the disk.
    fn serve(&mut self, group: Vec<Job>) {
        let outcome = match self.failed.get() {
            Some(why) => Err(KeyValueError::Unavailable(why.clone())),
            None => self.commit(&group).map_err(|Fault(error)| self.fail(&error)),
        };
        let mut done = outcome.map(Vec::into_iter);
        for Job { answer, room, .. } in group {
            drop(room);
            let result = match &mut done {
                Ok(done) => done.next().expect("as many answers as operations"),
                Err(why) => Err(why.clone()),
            };
            // The caller may have gone away; what it asked for is done nevertheless.
            let _ = answer.send(result);
        }
    }

    fn commit(&mut self, jobs: &[Job]) -> Result<Vec<Result<Done, KeyValueError>>, Fault> {
        let begun = Instant::now();
        let mut transaction = self.database.begin_write().map_err(fault)?;
        let mut group = Group::new(&transaction, self.log.room())?;
        let mut done = Vec::with_capacity(jobs.len());
        for job in jobs {
            done.push(group.apply(&job.bucket, &job.operation)?);
        }
        let Some(Finished { used, effects }) = group.finish()? else {
            // Each was refused, or found things as it wanted them: the disk has nothing to do.
            transaction.abort()?;
            return Ok(done);
        };
        if let Some(record) = effects.record() {
            // When that fails, the transaction is dropped: nobody sees it.
            self.log.append(record).map_err(|error| fault(in_the_log(&error)))?;
            transaction.set_durability(Durability::None).map_err(fault)?;
            transaction.commit().map_err(fault)?;
        } else {
            self.checkpoint(transaction, false)?;
        }
        self.last_commit = begun.elapsed();
        self.commits.committed(self.last_commit, jobs.len());
        for job in jobs {
            if let Some(used) = used.get(job.bucket.name()) {
                job.bucket.set_used(*used);
            }
        }
        Ok(done)
    }

    /// Commits `transaction`, and everything before it, in redb's file, and begins the log again.
    fn checkpoint(&mut self, transaction: WriteTransaction, closed: bool) -> Result<(), Fault> {
        let begun = Instant::now();
        let round = self.log.round() + 1;
        tables::checkpoint(transaction, Mark { log: self.log.id(), round, closed }).map_err(Fault)?;
        self.log.begin(round);
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

fn fault(error: impl Into<redb::Error>) -> Fault {
    Fault(error.into())
}

fn in_the_log(error: &io::Error) -> redb::Error {
    redb::Error::Io(io::Error::new(error.kind(), format!("the log: {error}")))
}
