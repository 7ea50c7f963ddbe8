//! What the operator has set for the plugin.
//!
//! ```toml
//! [plugin.notes]
//! config = { title = "My notes", per_page = "20", order = "newest_first" }
//! ```
//!
//! The values are texts. [`load`] makes a structure of them, and parses each as what its field is: numbers,
//! `true` and `false`, names of cases, and lists with commas between. Fields that need not be set are
//! `Option`s or have `#[serde(default)]`.
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::{Context, Handler, Request, Result, config};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     title: String,
//!     #[serde(default = "twenty")]
//!     per_page: u32,
//! }
//!
//! fn twenty() -> u32 {
//!     20
//! }
//!
//! struct Notes {
//!     settings: Settings,
//! }
//!
//! #[wharf::handler]
//! impl Handler for Notes {
//!     // Here, a version with a wrong configuration never serves.
//!     async fn start() -> Result<Self> {
//!         Ok(Notes { settings: config::load()? })
//!     }
//!
//!     async fn handle(&self, _request: Request, _context: Context) -> Result<String> {
//!         Ok(format!("{}, {} to a page\n", self.settings.title, self.settings.per_page))
//!     }
//! }
//! ```
//!
//! A plugin without `config` in the manifest that uses this module is refused when it is loaded.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::text::{self, Lists, Pairs, Problem};

/// The value of a key, or `None` when it is not set.
///
/// # Errors
/// When the host could not read it.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    sys::get(key).map_err(Error::unreadable)
}

/// The value of a key that must be set.
///
/// # Errors
/// When it is not set: the error says what to write into the manifest.
pub fn require(key: &str) -> Result<String, Error> {
    get(key)?.ok_or_else(|| Error { key: Some(key.to_owned()), what: What::Missing })
}

/// All keys and their values, sorted by key.
///
/// # Errors
/// When the host could not read them.
pub fn all() -> Result<Vec<(String, String)>, Error> {
    let mut pairs = sys::all().map_err(Error::unreadable)?;
    pairs.sort();
    Ok(pairs)
}

/// All of it, as a structure. Keys that it has no field for are left out.
///
/// # Errors
/// When a field's key is not set or does not parse: the error names it, and says what to write into the
/// manifest.
pub fn load<T: DeserializeOwned>() -> Result<T, Error> {
    let pairs = all()?;
    let pairs = pairs.iter().map(|(key, value)| (Cow::Borrowed(&**key), Cow::Borrowed(&**value)));
    T::deserialize(Pairs { pairs: pairs.collect(), lists: Lists::Commas }).map_err(Error::from)
}

/// Why a configuration could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    key: Option<String>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Missing,
    Invalid(String),
    Unreadable(String),
}

impl Error {
    fn unreadable(cause: String) -> Self {
        Error { key: None, what: What::Unreadable(cause) }
    }

    /// The key that it is about, if it is about one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whether the key is not set.
    pub fn is_missing(&self) -> bool {
        self.what == What::Missing
    }
}

impl From<text::Error> for Error {
    fn from(error: text::Error) -> Self {
        let what = match error.problem {
            Problem::Missing => What::Missing,
            Problem::Invalid(what) => What::Invalid(what),
        };
        Error { key: error.key.map(String::from), what }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key().unwrap_or("…");
        match &self.what {
            What::Missing => write!(
                f,
                "the configuration has no \"{key}\". Add to wharf.toml, under [plugin.NAME]: \
                 config = {{ {key} = \"…\" }}"
            ),
            What::Invalid(what) => write!(
                f,
                "the configuration's \"{key}\": {what}. Correct it in wharf.toml, under [plugin.NAME]: \
                 config = {{ {key} = \"…\" }}"
            ),
            What::Unreadable(cause) => write!(f, "the configuration could not be read: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(target_family = "wasm")]
mod sys {
    use crate::bindings::config::store;

    pub(super) fn get(key: &str) -> Result<Option<String>, String> {
        store::get(key).map_err(text)
    }

    pub(super) fn all() -> Result<Vec<(String, String)>, String> {
        store::get_all().map_err(text)
    }

    fn text(error: store::Error) -> String {
        match error {
            store::Error::Upstream(text) | store::Error::Io(text) => text,
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod sys {
    use crate::testing::{self, Grants};

    pub(super) fn get(key: &str) -> Result<Option<String>, String> {
        Ok(granted()?.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone()))
    }

    pub(super) fn all() -> Result<Vec<(String, String)>, String> {
        granted()
    }

    fn granted() -> Result<Vec<(String, String)>, String> {
        let grants = testing::current().ok_or(testing::NO_PLUGIN)?;
        let Grants { config: Some(config), .. } = &*grants else {
            return Err("the plugin has no configuration, and would be refused when it is loaded. Add to \
                        wharf.toml, under [plugin.NAME]: config = { key = \"value\" }; and to the test: \
                        .config(\"key\", \"value\")"
                .to_owned());
        };
        Ok(config.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
