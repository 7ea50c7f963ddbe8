use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::within;

/// What a process has written to one of its outputs so far, line by line.
#[derive(Clone, Debug)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// How many lines there are; closed when the process has closed its end.
    count: watch::Receiver<usize>,
}

impl Log {
    /// How long a wait for a line may take.
    const WAIT: Duration = Duration::from_secs(15);

    /// Reads `source` to its end on a thread of its own, so that the process never waits for its reader.
    pub fn read(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let log = Log { lines: lines.clone(), count };
        std::thread::spawn(move || {
            let mut reader = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                lock(&lines).push(text);
                counter.send_modify(|count| *count += 1);
                line.clear();
            }
        });
        log
    }

    /// How many lines there are: what [`Log::wait_from`] starts at to see newer ones only.
    pub fn mark(&self) -> usize {
        lock(&self.lines).len()
    }

    /// All lines since `mark`.
    pub fn since(&self, mark: usize) -> Vec<String> {
        lock(&self.lines).get(mark..).unwrap_or_default().to_vec()
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        self.since(0).join("\n")
    }

    /// Whether a line so far holds `text`.
    pub fn has(&self, text: &str) -> bool {
        lock(&self.lines).iter().any(|line| line.contains(text))
    }

    /// The first line that holds `text`, now or later.
    pub async fn wait(&self, text: &str) -> String {
        self.wait_from(0, text, |line| line.contains(text)).await
    }

    /// The first line from `mark` on that `matches`, now or later. `what` names it in the panic that
    /// ends the wait after 15 seconds, or when the process has closed its output.
    pub async fn wait_from(&self, mark: usize, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let mut count = self.count.clone();
        let mut next = mark;
        within(Self::WAIT, &format!("the log line: {what}"), async {
            loop {
                count.mark_unchanged();
                let found = {
                    let lines = lock(&self.lines);
                    let found = lines.iter().skip(next).find(|line| matches(line)).cloned();
                    next = lines.len().max(mark);
                    found
                };
                match found {
                    Some(line) => return line,
                    None if count.changed().await.is_ok() => {}
                    None if self.mark() > next => {}
                    None => panic!("the process closed its output before the line: {what}"),
                }
            }
        })
        .await
    }

    /// The first JSON line from `mark` on that `matches`, now or later. Lines that are not JSON are passed over.
    pub async fn wait_json(&self, mark: usize, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| serde_json::from_str::<Value>(line).ok();
        let line = self.wait_from(mark, what, |line| parse(line).is_some_and(|json| matches(&json))).await;
        parse(&line).unwrap()
    }

    /// Resolves when there are more lines than `mark`, or when there will never be more.
    pub async fn changed(&self, mark: usize) {
        let mut count = self.count.clone();
        let _ = count.wait_for(|count| *count > mark).await;
    }
}

fn lock(lines: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
