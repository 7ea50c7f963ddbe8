//! Who writes, and when: the queue, the thread that empties it, and the way past both.
//!
//! Operations wait in a queue that is bounded by their bytes. The thread takes what waits as one group and
//! has it committed (`committer.rs`), so that those who come together share one flush. A refused operation (a
//! quota, a value that is no number) changes nothing and does not disturb the others of its group.
//!
//! A writer who is alone goes past the queue and commits on the thread that it runs on. A flush is not faster
//! for that, but waking the thread and being woken by it took a quarter of the whole, and a disk that was
//! given nothing to do meanwhile answers later. The runtime is told that the thread is going to wait
//! ([`tokio::task::block_in_place`]) and lets another one run its tasks; a runtime of one thread cannot do
//! that, and there everybody uses the queue. Everybody does while something is in it, so that nothing is
//! overtaken; and after a group of more than one operation, until there is a group of one.
//!
//! Invariant: only who has the lock of the committer changes the store.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::block_in_place;
use wharf_call::KeyValueError;

use crate::bucket::Bucket;
use crate::committer::{Answer, Committer, Write};
use crate::log::Log;
use crate::plan::Operation;
use crate::view::Published;

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
    committer: Arc<Mutex<Committer>>,
    crowd: Arc<Crowd>,
    /// `None` only while dropping.
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    room: Arc<Semaphore>,
    room_bytes: usize,
    failed: Arc<OnceLock<String>>,
}

/// Whether everybody has to use the queue.
#[derive(Default)]
struct Crowd {
    /// How many operations are in it, or in the group that is being committed. Who goes past the queue must not
    /// overtake them: one caller may have begun both.
    waiting: AtomicUsize,
    /// Whether the last group had more than one operation.
    was_group: AtomicBool,
}

/// What the thread is told.
enum Job {
    Write(Queued),
    /// Somebody has written past the queue: there will be a log to empty.
    Written,
}

struct Queued {
    write: Write,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
    /// The place in the queue; it becomes free when the operation has been answered.
    room: [OwnedSemaphorePermit; 2],
}

impl Writer {
    /// Starts the thread. It ends when the writer is dropped, after everything that was accepted. It makes
    /// a checkpoint when nothing was written for `idle`.
    pub(crate) fn start(
        published: Arc<Published>,
        log: Log,
        idle: Duration,
        queue_bytes: u64,
    ) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let failed = Arc::new(OnceLock::new());
        let room_bytes = usize::try_from(queue_bytes).unwrap_or(usize::MAX).clamp(4, u32::MAX as usize >> 3);
        let committer = Arc::new(Mutex::new(Committer::new(published, log, failed.clone())));
        let crowd = Arc::new(Crowd::default());
        let worker = Worker { committer: committer.clone(), crowd: crowd.clone(), idle, jobs, last_group: 1 };
        let thread = thread::Builder::new().name("wharf-state".to_owned()).spawn(move || worker.run())?;
        Ok(Writer {
            committer,
            crowd,
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
    pub(crate) async fn write(&self, bucket: Arc<Bucket>, operation: Operation) -> Answer {
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
        let write = Write { bucket, operation };
        if let Some(answer) = self.write_here(&write) {
            return answer;
        }
        let (answer, answered) = oneshot::channel();
        self.crowd.waiting.fetch_add(1, Ordering::AcqRel);
        self.tell(Job::Write(Queued { write, bytes, answer, room }))?;
        answered.await.map_err(|_| ended())?
    }

    /// Does `write` on this thread, if nobody else writes and the thread may wait.
    fn write_here(&self, write: &Write) -> Option<Answer> {
        let Crowd { waiting, was_group } = &*self.crowd;
        if waiting.load(Ordering::Acquire) > 0 || was_group.load(Ordering::Relaxed) {
            return None;
        }
        let may_wait = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
        if !Handle::try_current().is_ok_and(may_wait) {
            return None;
        }
        let mut committer = self.committer.try_lock()?;
        let (answers, begins) = block_in_place(|| {
            let begins = !committer.has_rest();
            (committer.commit([write].into_iter()), begins && committer.has_rest())
        });
        drop(committer);
        if begins && let Err(error) = self.tell(Job::Written) {
            return Some(Err(error));
        }
        Some(answers.and_then(|answers| answers.into_iter().next().expect("one answer for one write")))
    }

    fn tell(&self, job: Job) -> Result<(), KeyValueError> {
        let queue = self.queue.as_ref().expect("only a writer that is being dropped has none");
        queue.send(job).map_err(|_| ended())
    }
}

fn ended() -> KeyValueError {
    KeyValueError::Unavailable("the writer has ended".to_owned())
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
    committer: Arc<Mutex<Committer>>,
    crowd: Arc<Crowd>,
    idle: Duration,
    jobs: Receiver<Job>,
    last_group: usize,
}

impl Worker {
    fn run(mut self) {
        loop {
            match self.next() {
                Ok(Job::Write(first)) => {
                    let group = self.gather(first);
                    self.last_group = group.len();
                    self.serve(group);
                }
                Ok(Job::Written) => {}
                Err(RecvTimeoutError::Timeout) => self.rest_if_idle(),
                Err(RecvTimeoutError::Disconnected) => return self.committer.lock().rest(true),
            }
        }
    }

    /// The next job; a timeout when there was none for a while, and the log is not empty.
    fn next(&self) -> Result<Job, RecvTimeoutError> {
        let rest_in = {
            let committer = self.committer.lock();
            committer.has_rest().then(|| self.idle.saturating_sub(committer.idle()))
        };
        match rest_in {
            Some(wait) => self.jobs.recv_timeout(wait),
            None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Others may have written since the wait began.
    fn rest_if_idle(&self) {
        let mut committer = self.committer.lock();
        if committer.has_rest() && committer.idle() >= self.idle {
            committer.rest(false);
        }
    }

    /// Everything that waits, within the bounds of a group.
    fn gather(&self, first: Queued) -> Vec<Queued> {
        let until = Instant::now() + (self.committer.lock().last_took() / REJOIN_PART).min(REJOIN_MAX);
        let mut bytes = first.bytes;
        let mut group = vec![first];
        while group.len() < GROUP_OPERATIONS_MAX && bytes < GROUP_BYTES_MAX {
            let next = match self.jobs.try_recv() {
                Err(TryRecvError::Empty) if group.len() < self.last_group => {
                    self.jobs.recv_timeout(until.saturating_duration_since(Instant::now()))
                }
                other => other.map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(Job::Write(next)) => {
                    bytes += next.bytes;
                    group.push(next);
                }
                Ok(Job::Written) => {}
                Err(_) => break,
            }
        }
        group
    }

    /// Does a group, and answers it when it is on the disk.
    fn serve(&mut self, group: Vec<Queued>) {
        let outcome = self.committer.lock().commit(group.iter().map(|queued| &queued.write));
        self.crowd.was_group.store(group.len() > 1, Ordering::Relaxed);
        self.crowd.waiting.fetch_sub(group.len(), Ordering::AcqRel);
        let mut answers = outcome.map(Vec::into_iter);
        for Queued { answer, room, .. } in group {
            drop(room);
            let result = match &mut answers {
                Ok(answers) => answers.next().expect("as many answers as writes"),
                Err(why) => Err(why.clone()),
            };
            // The caller may have gone away; what it asked for is done nevertheless.
            let _ = answer.send(result);
        }
    }
}
