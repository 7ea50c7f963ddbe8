use std::time::Duration;

use tokio::time::Instant;

/// Refusals of one plugin are logged at most this often; the line says how many there were since the last.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// How many refusals there were since the last that was logged.
#[derive(Default)]
pub(crate) struct Refusals {
    logged: Option<Instant>,
    unlogged: u64,
}

impl Refusals {
    /// Whether to log the refusal at `now`, and how many went without a line.
    pub(crate) fn next(&mut self, now: Instant) -> Option<u64> {
        if self.logged.is_some_and(|logged| now < logged + LOG_INTERVAL) {
            self.unlogged += 1;
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_without_end_are_a_line_each_second() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.next(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(refusals.next(start), None);
        }
        assert_eq!(refusals.next(start + LOG_INTERVAL), Some(1000));
        assert_eq!(refusals.next(start + LOG_INTERVAL), None);
    }
}
