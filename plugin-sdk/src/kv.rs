//! Values that are kept: under keys, in buckets that the manifest grants by name.
//!
//! ```toml
//! [plugin.notes.grants]
//! keyvalue = ["notes"]
//! ```
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::{OrFail, Path, Result, Router, StatusCode, kv::Bucket};
//!
//! async fn read(Path(id): Path<String>) -> Result<String> {
//!     Bucket::open("notes")?.get_text(&id)?.or_not_found("no such note")
//! }
//!
//! async fn write(Path(id): Path<String>, text: String) -> Result<StatusCode> {
//!     Bucket::open("notes")?.set(&id, text)?;
//!     Ok(StatusCode::NO_CONTENT)
//! }
//!
//! #[wharf::router]
//! fn routes() -> Router {
//!     Router::new().get("/notes/{id}", read).put("/notes/{id}", write)
//! }
//! ```
//!
//! A value that was set is on the disk when the call returns. Every instance of a plugin sees the same
//! buckets; [`Bucket::increment`] and [`Bucket::update`] change a value whole or not at all, whoever else
//! writes. With the feature `json`, [`Typed`] keeps values of a type.
//!
//! A plugin without `grants.keyvalue` that uses this module is refused when it is loaded; a bucket that
//! was not granted is an [`Error`] whose text is the line to write.

use std::fmt;

/// How often [`Bucket::update`] tries again before it gives up.
const TRIES_MAX: usize = 1_000;

/// What the functions here return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An open bucket.
pub struct Bucket {
    name: Box<str>,
    sys: sys::Bucket,
}

impl Bucket {
    /// Opens the bucket of that name.
    ///
    /// # Errors
    /// [`Error::NotGranted`], or what the store says.
    pub fn open(name: &str) -> Result<Self> {
        let sys = sys::open(name).map_err(|error| Error::of(name, error))?;
        Ok(Bucket { name: name.into(), sys })
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key.
    ///
    /// # Errors
    /// What the store says.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.sys.get(key).map_err(|error| self.error(error))
    }

    /// The value of a key, as text.
    ///
    /// # Errors
    /// [`Error::Value`] when it is not UTF-8, or what the store says.
    pub fn get_text(&self, key: &str) -> Result<Option<String>> {
        let bytes = self.get(key)?;
        bytes.map(|bytes| String::from_utf8(bytes).map_err(|error| self.value(key, error))).transpose()
    }

    /// Gives a key a value, in place of the one that it had.
    ///
    /// # Errors
    /// What the store says: also that a value, or the bucket, would be too large.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<()> {
        self.sys.set(key, value.as_ref()).map_err(|error| self.error(error))
    }

    /// Takes the value of a key away; nothing happens when it has none.
    ///
    /// # Errors
    /// What the store says.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.sys.delete(key).map_err(|error| self.error(error))
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// What the store says.
    pub fn exists(&self, key: &str) -> Result<bool> {
        self.sys.exists(key).map_err(|error| self.error(error))
    }

    /// Every key, asked for page by page as the iterator gets there. Keys that are set or deleted meanwhile
    /// may or may not be among them.
    ///
    /// ```
    /// # use wharf_sdk as wharf;
    /// # fn list() -> wharf::Result<Vec<String>> {
    /// let bucket = wharf::kv::Bucket::open("notes")?;
    /// let first_ten = bucket.keys().take(10).collect::<Result<Vec<_>, _>>()?;
    /// # Ok(first_ten)
    /// # }
    /// ```
    pub fn keys(&self) -> Keys<'_> {
        Keys { bucket: self, page: Vec::new().into_iter(), next: Next::First }
    }

    /// Adds to the number under a key, and returns the sum. A key without a value counts as zero.
    ///
    /// # Errors
    /// What the store says: also that the value is no number.
    pub fn increment(&self, key: &str, by: i64) -> Result<i64> {
        self.sys.increment(key, by).map_err(|error| self.error(error))
    }

    /// Changes a value whole or not at all: `change` is given the present one and makes the new one. When
    /// somebody else has changed it meanwhile, `change` is called again with what they left.
    ///
    /// ```
    /// # use wharf_sdk as wharf;
    /// # fn append() -> wharf::Result<()> {
    /// let bucket = wharf::kv::Bucket::open("notes")?;
    /// bucket.update("log", |present| {
    ///     let mut log = present.unwrap_or_default();
    ///     log.extend_from_slice(b"one more line\n");
    ///     Ok::<_, wharf::kv::Error>(log)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `change` says, and then nothing is changed; what the store says; [`Error::Contended`] after very
    /// many attempts.
    pub fn update<E: From<Error>>(
        &self,
        key: &str,
        mut change: impl FnMut(Option<Vec<u8>>) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let mut look = self.sys.look(key).map_err(|error| self.error(error))?;
        for _ in 0..TRIES_MAX {
            let present = look.current().map_err(|error| self.error(error))?;
            let new = change(present)?;
            match look.swap(&new) {
                Ok(()) => return Ok(new),
                Err(sys::Swap::Changed(again)) => look = again,
                Err(sys::Swap::Failed(error)) => return Err(self.error(error).into()),
            }
        }
        Err(Error::Contended { bucket: self.name.to_string(), key: key.to_owned() }.into())
    }

    /// The values of several keys, in their order.
    ///
    /// # Errors
    /// What the store says.
    pub fn get_many<K: AsRef<str>>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        let keys: Vec<_> = keys.iter().map(|key| key.as_ref().to_owned()).collect();
        self.sys.get_many(keys).map_err(|error| self.error(error))
    }

    /// Gives several keys their values.
    ///
    /// # Errors
    /// What the store says. The standard does not promise that a batch is kept whole or not at all.
    pub fn set_many<K: Into<String>, V: Into<Vec<u8>>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self.sys.set_many(pairs).map_err(|error| self.error(error))
    }

    /// Takes the values of several keys away.
    ///
    /// # Errors
    /// What the store says.
    pub fn delete_many<K: AsRef<str>>(&self, keys: &[K]) -> Result<()> {
        let keys: Vec<_> = keys.iter().map(|key| key.as_ref().to_owned()).collect();
        self.sys.delete_many(keys).map_err(|error| self.error(error))
    }

    fn error(&self, error: sys::Error) -> Error {
        Error::of(&self.name, error)
    }

    fn value(&self, key: &str, cause: impl fmt::Display) -> Error {
        Error::Value { bucket: self.name.to_string(), key: key.to_owned(), cause: cause.to_string() }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The keys of a bucket: see [`Bucket::keys`].
#[derive(Debug)]
pub struct Keys<'a> {
    bucket: &'a Bucket,
    page: std::vec::IntoIter<String>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    After(String),
    Nothing,
}

impl Iterator for Keys<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.page.next() {
                return Some(Ok(key));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::First => None,
                Next::After(cursor) => Some(cursor),
                Next::Nothing => return None,
            };
            match self.bucket.sys.list_keys(cursor) {
                Ok((page, cursor)) => {
                    self.page = page.into_iter();
                    self.next = cursor.map_or(Next::Nothing, Next::After);
                }
                Err(error) => return Some(Err(self.bucket.error(error))),
            }
        }
    }
}

/// A bucket whose values are of one type, kept as JSON.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{Json, OrFail, Path, Result, kv::Typed};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Note {
///     title: String,
///     stars: u32,
/// }
///
/// #[wharf::handler]
/// async fn star(Path(id): Path<String>) -> Result<Json<Note>> {
///     let notes: Typed<Note> = Typed::open("notes")?;
///     let note = notes.update(&id, |note| {
///         let note = note.or_not_found("no such note")?;
///         Ok::<_, wharf::Failure>(Note { stars: note.stars + 1, ..note })
///     })?;
///     Ok(Json(note))
/// }
/// ```
#[cfg(feature = "json")]
pub struct Typed<T> {
    bucket: Bucket,
    of: std::marker::PhantomData<fn() -> T>,
}

#[cfg(feature = "json")]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Typed<T> {
    /// Opens the bucket of that name.
    ///
    /// # Errors
    /// [`Error::NotGranted`], or what the store says.
    pub fn open(name: &str) -> Result<Self> {
        Bucket::open(name).map(Typed::from)
    }

    /// The bucket itself, for what needs no values: keys, deleting, existence.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::Value`] when it is not JSON of this type, or what the store says.
    pub fn get(&self, key: &str) -> Result<Option<T>> {
        self.bucket.get(key)?.map(|bytes| self.read(key, &bytes)).transpose()
    }

    /// Gives a key a value, in place of the one that it had.
    ///
    /// # Errors
    /// [`Error::Value`] when it does not serialise, or what the store says.
    pub fn set(&self, key: &str, value: &T) -> Result<()> {
        self.bucket.set(key, self.write(key, value)?)
    }

    /// Takes the value of a key away; nothing happens when it has none.
    ///
    /// # Errors
    /// What the store says.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.bucket.delete(key)
    }

    /// Every key and its value. A key that is deleted meanwhile is left out.
    pub fn entries(&self) -> impl Iterator<Item = Result<(String, T)>> {
        self.bucket.keys().filter_map(|key| match key {
            Ok(key) => self.get(&key).map(|value| value.map(|value| (key, value))).transpose(),
            Err(error) => Some(Err(error)),
        })
    }

    /// Changes a value whole or not at all, as [`Bucket::update`] does.
    ///
    /// # Errors
    /// As [`Bucket::update`], and [`Error::Value`] when what is there is not of this type.
    pub fn update<E: From<Error>>(
        &self,
        key: &str,
        mut change: impl FnMut(Option<T>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut new = None;
        self.bucket.update::<E>(key, |present| {
            let present = present.map(|bytes| self.read(key, &bytes)).transpose()?;
            let value = new.insert(change(present)?);
            Ok(self.write(key, value)?)
        })?;
        // The swap that went well was of what was made last.
        new.ok_or_else(|| {
            Error::Contended { bucket: self.bucket.name.to_string(), key: key.to_owned() }.into()
        })
    }

    fn read(&self, key: &str, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|error| self.bucket.value(key, error))
    }

    fn write(&self, key: &str, value: &T) -> Result<Vec<u8>> {
        serde_json::to_vec(value).map_err(|error| self.bucket.value(key, error))
    }
}

#[cfg(feature = "json")]
impl<T> From<Bucket> for Typed<T> {
    fn from(bucket: Bucket) -> Self {
        Typed { bucket, of: std::marker::PhantomData }
    }
}

#[cfg(feature = "json")]
impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.bucket, f)
    }
}

/// Why a bucket did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The manifest does not grant the bucket.
    NotGranted {
        /// The bucket's name.
        bucket: String,
    },
    /// The value is not what it was read as, or could not be made.
    Value {
        /// The bucket's name.
        bucket: String,
        /// The value's key.
        key: String,
        /// What is wrong with it.
        cause: String,
    },
    /// So many others change the value that an update did not get through.
    Contended {
        /// The bucket's name.
        bucket: String,
        /// The value's key.
        key: String,
    },
    /// The store says no: a limit that was reached, or a store that does not work.
    Store {
        /// The bucket's name.
        bucket: String,
        /// What it says.
        cause: String,
    },
}

impl Error {
    fn of(bucket: &str, error: sys::Error) -> Self {
        let bucket = bucket.to_owned();
        match error {
            sys::Error::NoSuchStore | sys::Error::AccessDenied => Error::NotGranted { bucket },
            sys::Error::Other(cause) => Error::Store { bucket, cause },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotGranted { bucket } => write!(
                f,
                "the bucket \"{bucket}\" was not granted. Add to wharf.toml, under [plugin.NAME.grants]: \
                 keyvalue = [\"{bucket}\"]"
            ),
            Error::Value { bucket, key, cause } => {
                write!(
                    f,
                    "the value of \"{key}\" in the bucket \"{bucket}\" is not what it should be: {cause}"
                )
            }
            Error::Contended { bucket, key } => {
                write!(f, "\"{key}\" in the bucket \"{bucket}\" is changed all the time by others")
            }
            Error::Store { bucket, cause } => write!(f, "the bucket \"{bucket}\": {cause}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(target_family = "wasm")]
mod sys {
    use crate::bindings::keyvalue::{atomics, batch, store};

    pub(super) use store::Error;

    pub(super) struct Bucket(store::Bucket);

    pub(super) fn open(name: &str) -> Result<Bucket, Error> {
        store::open(name).map(Bucket)
    }

    impl Bucket {
        pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            self.0.get(key)
        }

        pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            self.0.set(key, value)
        }

        pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
            self.0.delete(key)
        }

        pub(super) fn exists(&self, key: &str) -> Result<bool, Error> {
            self.0.exists(key)
        }

        pub(super) fn list_keys(
            &self,
            cursor: Option<String>,
        ) -> Result<(Vec<String>, Option<String>), Error> {
            self.0.list_keys(cursor.as_deref()).map(|page| (page.keys, page.cursor))
        }

        pub(super) fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
            atomics::increment(&self.0, key, by)
        }

        pub(super) fn look(&self, key: &str) -> Result<Look, Error> {
            atomics::Cas::new(&self.0, key).map(Look)
        }

        pub(super) fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
            let found = batch::get_many(&self.0, &keys)?;
            Ok(found.into_iter().map(|pair| pair.map(|(_, value)| value)).collect())
        }

        pub(super) fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
            batch::set_many(&self.0, &pairs)
        }

        pub(super) fn delete_many(&self, keys: Vec<String>) -> Result<(), Error> {
            batch::delete_many(&self.0, &keys)
        }
    }

    /// A value as it was at one moment.
    pub(super) struct Look(atomics::Cas);

    pub(super) enum Swap {
        Changed(Look),
        Failed(Error),
    }

    impl Look {
        pub(super) fn current(&self) -> Result<Option<Vec<u8>>, Error> {
            self.0.current()
        }

        pub(super) fn swap(self, value: &[u8]) -> Result<(), Swap> {
            atomics::swap(self.0, value).map_err(|error| match error {
                atomics::CasError::CasFailed(again) => Swap::Changed(Look(again)),
                atomics::CasError::StoreError(error) => Swap::Failed(error),
            })
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod sys {
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use crate::testing::{self, Grants};

    /// How many keys a page has: few, so that tests meet the second page.
    const PAGE: usize = 100;

    pub(super) enum Error {
        #[expect(dead_code, reason = "the fake knows no bucket that was not granted")]
        NoSuchStore,
        AccessDenied,
        Other(String),
    }

    type Values = BTreeMap<String, Vec<u8>>;

    pub(super) struct Bucket {
        name: String,
        grants: Rc<Grants>,
    }

    pub(super) fn open(name: &str) -> Result<Bucket, Error> {
        let grants = testing::current().ok_or_else(|| Error::Other(testing::NO_PLUGIN.to_owned()))?;
        if grants.buckets.borrow().contains_key(name) {
            Ok(Bucket { name: name.to_owned(), grants })
        } else {
            Err(Error::AccessDenied)
        }
    }

    impl Bucket {
        fn with<T>(&self, run: impl FnOnce(&mut Values) -> T) -> T {
            run(self.grants.buckets.borrow_mut().entry(self.name.clone()).or_default())
        }

        pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            Ok(self.with(|values| values.get(key).cloned()))
        }

        pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            self.with(|values| values.insert(key.to_owned(), value.to_vec()));
            Ok(())
        }

        pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
            self.with(|values| values.remove(key));
            Ok(())
        }

        pub(super) fn exists(&self, key: &str) -> Result<bool, Error> {
            Ok(self.with(|values| values.contains_key(key)))
        }

        pub(super) fn list_keys(
            &self,
            cursor: Option<String>,
        ) -> Result<(Vec<String>, Option<String>), Error> {
            Ok(self.with(|values| {
                let after = values.keys().filter(|key| cursor.as_ref().is_none_or(|cursor| *key > cursor));
                let mut page: Vec<_> = after.take(PAGE + 1).cloned().collect();
                let more = page.len() > PAGE;
                page.truncate(PAGE);
                let cursor = page.last().filter(|_| more).cloned();
                (page, cursor)
            }))
        }

        pub(super) fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
            self.with(|values| {
                let present = match values.get(key) {
                    None => 0,
                    Some(text) => std::str::from_utf8(text)
                        .ok()
                        .and_then(|text| text.parse::<i64>().ok())
                        .ok_or_else(|| Error::Other(format!("the value of \"{key}\" is not a number")))?,
                };
                let sum = present
                    .checked_add(by)
                    .ok_or_else(|| Error::Other(format!("the number under \"{key}\" would overflow")))?;
                values.insert(key.to_owned(), sum.to_string().into_bytes());
                Ok(sum)
            })
        }

        pub(super) fn look(&self, key: &str) -> Result<Look, Error> {
            let seen = self.get(key)?;
            let bucket = Bucket { name: self.name.clone(), grants: self.grants.clone() };
            Ok(Look { bucket, key: key.to_owned(), seen })
        }

        pub(super) fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
            keys.iter().map(|key| self.get(key)).collect()
        }

        pub(super) fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
            self.with(|values| values.extend(pairs));
            Ok(())
        }

        pub(super) fn delete_many(&self, keys: Vec<String>) -> Result<(), Error> {
            self.with(|values| keys.iter().for_each(|key| drop(values.remove(key))));
            Ok(())
        }
    }

    /// A value as it was at one moment.
    pub(super) struct Look {
        bucket: Bucket,
        key: String,
        seen: Option<Vec<u8>>,
    }

    pub(super) enum Swap {
        Changed(Look),
        Failed(Error),
    }

    impl Look {
        pub(super) fn current(&self) -> Result<Option<Vec<u8>>, Error> {
            Ok(self.seen.clone())
        }

        pub(super) fn swap(self, value: &[u8]) -> Result<(), Swap> {
            if self.bucket.get(&self.key).map_err(Swap::Failed)? != self.seen {
                return Err(Swap::Changed(self.bucket.look(&self.key).map_err(Swap::Failed)?));
            }
            self.bucket.set(&self.key, value).map_err(Swap::Failed)
        }
    }
}
