//! What happens when a store is opened: the database and its log are put together again.
//!
//! redb's file has a *mark*: the log that goes with it, the round of that log which comes after what the
//! file has, and whether the store was closed, which says that the round is empty. The mark decides:
//!
//! | mark | its own log | no log | a log that was never used | another log |
//! |---|---|---|---|---|
//! | none (a new store) | | make one | take it | refuse |
//! | closed | go on | make one | take it | refuse |
//! | open | replay | refuse | refuse | refuse |
//!
//! An unused log beside a new store is what a crash leaves between making the log and the first mark. To
//! refuse is [`OpenError::Log`]: the operator has to say which writes are to be lost. Nothing is changed
//! before that.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use redb::Database;

use crate::log::{Log, Place};
use crate::tables::{self, Fault, Group, Mark, Newer};
use crate::{OpenError, effects};

/// Opens the log that belongs to `database`, does again what the database lost, and begins a new round.
/// Returns the log and how full each bucket is; `path` is what errors call the database.
pub(crate) fn recover(
    database: &Database,
    path: &Path,
    place: &dyn Place,
    log_bytes: usize,
) -> Result<(Log, HashMap<String, u64>), OpenError> {
    let storage = |error: redb::Error| OpenError::storage(path, error);
    let mark = tables::read_mark(database)
        .map_err(storage)?
        .map_err(|Newer| OpenError::Newer { path: path.to_owned() })?;
    let refuse = |why: &str| OpenError::Log { path: place.path().to_owned(), why: why.to_owned() };
    let found = Log::find(place)?;
    let is_open = mark.is_some_and(|mark| !mark.closed);
    let is_own = found.as_ref().zip(mark).is_some_and(|(log, mark)| log.id() == mark.log);
    let mut log = match found {
        Some(log) if is_own => log,
        _ if is_open => {
            return Err(refuse(
                "it is missing or another one, and the newest writes are in it: kv.redb was not closed",
            ));
        }
        Some(log) if log.was_used()? => {
            return Err(refuse("it has writes, and they belong to another kv.redb than the one beside it"));
        }
        Some(log) => log,
        None => Log::make(place, random(), log_bytes)?,
    };

    let transaction = database.begin_write().map_err(|error| storage(error.into()))?;
    let mut group = Group::new(&transaction).map_err(|Fault(error)| storage(error))?;
    if let Some(mark) = mark.filter(|_| is_open) {
        let redone = log.replay(mark.round, |record| redo(&log, &mut group, record, path))?;
        if redone > 0 {
            tracing::info!(
                path = %path.display(), groups = redone,
                "the key-value store was not closed; its newest writes were taken from the log"
            );
        }
    }
    group.finish().map_err(|Fault(error)| storage(error))?;
    let used = tables::read_used(&transaction).map_err(storage)?;
    let round = mark.map_or(0, |mark| mark.round) + 1;
    tables::checkpoint(transaction, Mark { log: log.id(), round, closed: false }).map_err(storage)?;
    log.begin(round);
    Ok((log, used))
}

fn redo(log: &Log, group: &mut Group<'_>, record: &[u8], path: &Path) -> Result<(), OpenError> {
    for effect in effects::read(record) {
        let effect =
            effect.map_err(|_| log.damaged("a record cannot be read by this version of wharf".to_owned()))?;
        group.set(&effect).map_err(|Fault(error)| OpenError::storage(path, error))?;
    }
    Ok(())
}

/// A number that no other log has. The standard library seeds its hash maps from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
