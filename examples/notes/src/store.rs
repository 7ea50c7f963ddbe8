//! How notes lie in their bucket.
//!
//! | key | value |
//! |---|---|
//! | `note/00000007` | the note, as JSON |
//! | `change/00000042` | what happened, as JSON |
//! | `last-note`, `last-change` | the numbers that were given out last |

use serde::{Deserialize, Serialize};
use wharf::kv::{self, Bucket, Typed};

use crate::{Link, Note};

/// Changes that are kept for those who listen; older ones are forgotten.
pub const CHANGES_KEPT: u64 = 1_000;

/// What happened to a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    Created { note: Note },
    Replaced { note: Note },
    Deleted { id: u64 },
}

impl Change {
    /// The name of its event.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Created { .. } => "created",
            Change::Replaced { .. } => "replaced",
            Change::Deleted { .. } => "deleted",
        }
    }
}

pub struct Store(Bucket);

impl Store {
    pub fn open() -> kv::Result<Self> {
        Bucket::open("notes").map(Store)
    }

    pub fn get(&self, id: u64) -> kv::Result<Option<Note>> {
        self.notes()?.get(&note_key(id))
    }

    /// Notes in the order of their ids, at most `limit` of them.
    pub fn list(&self, after: u64, limit: usize) -> kv::Result<Vec<Note>> {
        let notes = self.notes()?;
        let after = note_key(after);
        let keys = self.0.keys().filter(|key| match key {
            Ok(key) => key.starts_with("note/") && *key > after,
            Err(_) => true,
        });
        keys.filter_map(|key| key.and_then(|key| notes.get(&key)).transpose()).take(limit).collect()
    }

    pub fn create(&self, text: String, link: Option<Link>) -> kv::Result<Note> {
        let id = self.0.increment("last-note", 1)?.unsigned_abs();
        let note = Note { id, text, link };
        self.notes()?.set(&note_key(id), &note)?;
        self.changed(&Change::Created { note: note.clone() })?;
        Ok(note)
    }

    /// `None` when there is no note to be replaced.
    pub fn replace(&self, note: &Note) -> kv::Result<Option<()>> {
        let key = note_key(note.id);
        if !self.0.exists(&key)? {
            return Ok(None);
        }
        self.notes()?.set(&key, note)?;
        self.changed(&Change::Replaced { note: note.clone() })?;
        Ok(Some(()))
    }

    /// `None` when there is no note to be deleted.
    pub fn delete(&self, id: u64) -> kv::Result<Option<()>> {
        let key = note_key(id);
        if !self.0.exists(&key)? {
            return Ok(None);
        }
        self.0.delete(&key)?;
        self.changed(&Change::Deleted { id })?;
        Ok(Some(()))
    }

    /// The change of that number; `None` when it has not happened, or is forgotten.
    pub fn change(&self, number: u64) -> kv::Result<Option<Change>> {
        Typed::open(self.0.name())?.get(&change_key(number))
    }

    /// The number of the newest change.
    pub fn last_change(&self) -> kv::Result<u64> {
        let last = self.0.get_text("last-change")?;
        Ok(last.and_then(|last| last.parse().ok()).unwrap_or(0))
    }

    fn changed(&self, change: &Change) -> kv::Result<()> {
        let number = self.0.increment("last-change", 1)?.unsigned_abs();
        Typed::open(self.0.name())?.set(&change_key(number), change)?;
        match number.checked_sub(CHANGES_KEPT) {
            Some(old) => self.0.delete(&change_key(old)),
            None => Ok(()),
        }
    }

    fn notes(&self) -> kv::Result<Typed<Note>> {
        Typed::open(self.0.name())
    }
}

/// With leading zeros, so that the order of the keys is that of the numbers.
fn note_key(id: u64) -> String {
    format!("note/{id:08}")
}

fn change_key(number: u64) -> String {
    format!("change/{number:08}")
}
