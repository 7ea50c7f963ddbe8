//! Where users are kept: a bucket with a value for each user, each address and each change.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wharf::kv::{self, Bucket, Typed};
use wharf::{time, tracing};

use crate::accounts::{Change, Event, Failure, Permissions, User};

/// So many changes are kept; older ones are forgotten.
pub const CHANGES_KEPT: u64 = 1_000;

pub struct Store(Bucket);

impl Store {
    pub fn open() -> Result<Self, Failure> {
        Ok(Store(Bucket::open("users")?))
    }

    /// The ids of users count up, and have leading zeros: their order is that in which they were made.
    pub fn new_id(&self) -> Result<String, Failure> {
        Ok(format!("u{:08}", self.0.increment("last-user", 1)?))
    }

    pub fn get(&self, id: &str) -> Result<Option<User>, Failure> {
        Ok(self.users()?.get(&user_key(id))?)
    }

    pub fn get_many(&self, ids: &[String]) -> Result<Vec<Option<User>>, Failure> {
        ids.iter().map(|id| self.get(id)).collect()
    }

    /// Users after that id who fit, at most `limit` of them.
    pub fn list(
        &self,
        after: Option<&str>,
        limit: usize,
        fits: impl Fn(&User) -> bool,
    ) -> Result<Vec<User>, Failure> {
        let users = self.users()?;
        let after = after.map(user_key).unwrap_or_default();
        let mut found = Vec::new();
        for key in self.0.keys() {
            let key = key?;
            if found.len() == limit {
                break;
            }
            if !key.starts_with("user/") || key <= after {
                continue;
            }
            found.extend(users.get(&key)?.filter(&fits));
        }
        Ok(found)
    }

    pub fn insert(&self, user: &User) -> Result<(), Failure> {
        self.users()?.set(&user_key(&user.id), user)?;
        self.changed(Event::Created(user.clone()))
    }

    /// Changes a user whole or not at all, whoever else does at the same time.
    pub fn update(&self, id: &str, mut change: impl FnMut(&mut User)) -> Result<User, Failure> {
        let user = self.users()?.update(&user_key(id), |user| {
            let mut user = user.ok_or(Failure::NotFound)?;
            change(&mut user);
            Ok::<_, Failure>(user)
        })?;
        self.changed(Event::Changed(user.clone()))?;
        Ok(user)
    }

    pub fn delete(&self, id: &str) -> Result<(), Failure> {
        let user = self.get(id)?.ok_or(Failure::NotFound)?;
        self.0.delete(&user_key(id))?;
        self.free_email(&user.email, id)?;
        self.changed(Event::Deleted(id.to_owned()))
    }

    /// Takes an address for a user: of two who want the same one, one gets it.
    pub fn take_email(&self, email: &str, id: &str) -> Result<(), Failure> {
        self.0.update(&email_key(email), |owner| match owner.as_deref() {
            None | Some(b"") => Ok(id.as_bytes().to_vec()),
            Some(owner) if owner == id.as_bytes() => Ok(id.as_bytes().to_vec()),
            Some(_) => Err(Failure::EmailTaken(email.to_owned())),
        })?;
        Ok(())
    }

    /// Gives an address back, if it is the user's.
    pub fn free_email(&self, email: &str, id: &str) -> Result<(), Failure> {
        self.0.update(&email_key(email), |owner| match owner {
            Some(owner) if owner != id.as_bytes() => Ok::<_, Failure>(owner),
            _ => Ok(Vec::new()),
        })?;
        Ok(())
    }

    pub fn is_free(&self, email: &str) -> Result<bool, Failure> {
        Ok(self.0.get(&email_key(email))?.is_none_or(|owner| owner.is_empty()))
    }

    /// The change of that number; `None` when it has not happened, or is forgotten.
    pub fn change(&self, number: u64) -> Result<Option<Change>, Failure> {
        Ok(Typed::open(self.0.name())?.get(&change_key(number))?)
    }

    /// The number of the newest change.
    pub fn last_change(&self) -> Result<u64, Failure> {
        let last = self.0.get_text("last-change")?;
        Ok(last.and_then(|last| last.parse().ok()).unwrap_or(0))
    }

    fn changed(&self, event: Event) -> Result<(), Failure> {
        let number = self.0.increment("last-change", 1)?.unsigned_abs();
        Typed::open(self.0.name())?.set(&change_key(number), &Change { number, at: now(), event })?;
        if let Some(old) = number.checked_sub(CHANGES_KEPT) {
            self.0.delete(&change_key(old))?;
        }
        Ok(())
    }

    fn users(&self) -> Result<Typed<User>, Failure> {
        Ok(Typed::open(self.0.name())?)
    }
}

/// What a client cannot help is said to the operator.
impl From<kv::Error> for Failure {
    fn from(error: kv::Error) -> Self {
        tracing::error!("the directory cannot be reached: {error}");
        Failure::Unavailable
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = time::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Most servers of mail do not tell capitals from small letters, and people do not, either.
pub fn same_email(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn user_key(id: &str) -> String {
    format!("user/{id}")
}

fn email_key(email: &str) -> String {
    format!("email/{}", email.to_lowercase())
}

fn change_key(number: u64) -> String {
    format!("change/{number:08}")
}

/// Flags are kept as their bits.
impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bits().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Permissions::from_bits_truncate)
    }
}
