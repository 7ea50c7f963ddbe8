use std::io::{self, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::Counter;
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Lines wait at most this long before they are written.
const FLUSH_AFTER: Duration = Duration::from_millis(50);
/// They are written at once when there are this many bytes of them. Each time wakes the thread, which takes a core from
/// whoever serves: a busy host is to do that less than a hundred times a second.
const FLUSH_BYTES: usize = 128 << 10;
/// What waits and is being written together; lines beyond that are dropped.
const HELD_BYTES_MAX: usize = 4 << 20;
/// How often the writing thread also does the upkeep of the metrics.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// The thread that writes the log. Dropping it writes what is left and ends the thread.
pub(crate) struct Sink {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

/// Takes lines from any thread. Never waits for the output.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The thread has something to do.
    work: Condvar,
    /// The thread has written something.
    written: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// How many bytes the thread is writing.
    writing: usize,
    /// Bytes taken and bytes written since the start, to know when a flush is done.
    taken_total: u64,
    written_total: u64,
    /// Lines dropped since the last one that was not.
    dropped: u64,
    flush: bool,
    stop: bool,
}

impl Sink {
    /// Starts the thread. It calls `upkeep` about once a second.
    pub(crate) fn start(
        out: impl Write + Send + 'static,
        upkeep: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let lines = Lines(Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            written: Condvar::new(),
            dropped: metrics::counter!("wharf_log_lines_dropped_total"),
        }));
        let shared = lines.0.clone();
        let thread =
            std::thread::Builder::new().name("wharf-log".into()).spawn(move || shared.run(out, upkeep))?;
        Ok(Sink { lines, thread: Some(thread) })
    }

    pub(crate) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Waits until what was pushed before is written, or `patience` is over.
    pub(crate) fn flush(&self, patience: Duration) {
        self.lines.flush(patience);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.lines.0.state.lock().stop = true;
        self.lines.0.work.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Lines {
    /// Takes a line with its line break, or drops and counts it when too much waits already.
    pub(crate) fn push(&self, line: &[u8]) {
        let shared = &*self.0;
        let mut state = shared.state.lock();
        if state.stop {
            drop(state);
            // The thread is gone or going: a last word of the process.
            let _ = io::stderr().write_all(line);
            return;
        }
        if state.waiting.len() + state.writing + line.len() > HELD_BYTES_MAX {
            state.dropped += 1;
            drop(state);
            shared.dropped.increment(1);
            return;
        }
        let before = state.waiting.len();
        state.waiting.extend_from_slice(line);
        state.taken_total += line.len() as u64;
        let wake = before == 0 || (before < FLUSH_BYTES && state.waiting.len() >= FLUSH_BYTES);
        drop(state);
        if wake {
            shared.work.notify_one();
        }
    }

    /// Waits until what was pushed before is written, or `patience` is over.
    pub(crate) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut state = self.0.state.lock();
        let target = state.taken_total;
        while state.written_total < target && !state.stop {
            state.flush = true;
            self.0.work.notify_one();
            if self.0.written.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    fn run(&self, mut out: impl Write, upkeep: impl Fn()) {
        let mut buffer = Vec::new();
        let mut upkeep_at = Instant::now() + UPKEEP_EVERY;
        loop {
            let mut state = self.state.lock();
            self.wait_for_work(&mut state, upkeep_at);
            std::mem::swap(&mut state.waiting, &mut buffer);
            state.writing = buffer.len();
            state.flush = false;
            let stop = state.stop;
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);

            write_all(&mut out, &buffer);
            self.state.lock().written(buffer.len());
            self.written.notify_all();
            buffer.clear();
            // One long line must not keep its memory forever.
            buffer.shrink_to(2 * FLUSH_BYTES);

            if stop {
                return;
            }
            if dropped > 0 {
                tracing::warn!(lines = dropped, "log lines were dropped: standard error is read too slowly");
            }
            if Instant::now() >= upkeep_at {
                upkeep();
                upkeep_at = Instant::now() + UPKEEP_EVERY;
            }
        }
    }

    /// Returns when lines are due to be written, or upkeep is.
    fn wait_for_work(&self, state: &mut MutexGuard<'_, State>, upkeep_at: Instant) {
        while state.waiting.is_empty() && !state.stop {
            if self.work.wait_until(state, upkeep_at).timed_out() {
                return;
            }
        }
        let due = Instant::now() + FLUSH_AFTER;
        while state.waiting.len() < FLUSH_BYTES && !state.flush && !state.stop {
            if self.work.wait_until(state, due).timed_out() {
                return;
            }
        }
    }
}

impl State {
    fn written(&mut self, bytes: usize) {
        self.writing = 0;
        self.written_total += bytes as u64;
    }
}

/// Writes everything, also to a pipe that somebody has made non-blocking. A closed one takes nothing more,
/// and there is nobody left to tell.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return,
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => return,
        }
    }
}

/// An output that tests can read.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Collected(Arc<Mutex<Vec<u8>>>);

#[cfg(test)]
impl Collected {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

#[cfg(test)]
impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Says when it is asked to write, and waits for leave to do it.
    struct Stuck {
        asked: mpsc::Sender<()>,
        leave: mpsc::Receiver<()>,
        out: Collected,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.asked.send(());
            let _ = self.leave.recv();
            self.out.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_when_the_sink_is_dropped() {
        let out = Collected::default();
        let sink = Sink::start(out.clone(), || ()).expect("a thread can be started");
        for number in 0..1_000 {
            sink.lines().push(format!("{number}\n").as_bytes());
        }
        drop(sink);
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(out.text(), expected);
    }

    #[test]
    fn a_flush_returns_when_everything_before_it_is_written() {
        let out = Collected::default();
        let sink = Sink::start(out.clone(), || ()).expect("a thread can be started");
        sink.lines().push(b"one\n");
        sink.flush(Duration::from_secs(60));
        assert_eq!(out.text(), "one\n");
        sink.flush(Duration::from_secs(60));
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_never_time() {
        let (asked, was_asked) = mpsc::channel();
        let (give_leave, leave) = mpsc::channel();
        let out = Collected::default();
        let sink =
            Sink::start(Stuck { asked, leave, out: out.clone() }, || ()).expect("a thread can be started");
        let line = vec![b'x'; FLUSH_BYTES];
        let lines = sink.lines();
        lines.push(&line);
        was_asked.recv().expect("the thread writes");

        let pushed = HELD_BYTES_MAX / FLUSH_BYTES + 10;
        for _ in 1..pushed {
            lines.push(&line);
        }
        assert_eq!(sink.lines.0.state.lock().dropped, 10);
        lines.flush(Duration::ZERO);

        drop(give_leave);
        drop(sink);
        assert_eq!(out.text().len(), HELD_BYTES_MAX);
    }
}
