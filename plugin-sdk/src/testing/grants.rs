use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::{Response, Result};

/// What a capability says when it is used outside of a plugin.
pub(crate) const NO_PLUGIN: &str =
    "no plugin is running: in a native test, call the handler through wharf::testing::Plugin";

pub(super) type Serve = Rc<dyn Fn(http::Request<Bytes>) -> Result<Response>>;

thread_local! {
    /// The grants of the plugin that is being polled.
    static CURRENT: RefCell<Option<Rc<Grants>>> = const { RefCell::new(None) };
}

/// What a plugin under test was granted, and what it has done with it.
pub(crate) struct Grants {
    pub(crate) config: Option<BTreeMap<String, String>>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) buckets: RefCell<BTreeMap<String, BTreeMap<String, Vec<u8>>>>,
    pub(crate) logs: RefCell<Vec<LogLine>>,
    pub(super) http: Vec<(String, Serve)>,
    /// What comes with the calls of a service, and what has gone with their answers.
    #[cfg(feature = "service")]
    pub(crate) metadata: Vec<(String, Vec<u8>)>,
    #[cfg(feature = "service")]
    pub(crate) answered: RefCell<Vec<(String, Vec<u8>)>>,
    /// The time of day at a moment of the test's clock.
    pub(super) clock: (SystemTime, Duration),
    background: Cell<usize>,
    idle: RefCell<Vec<Waker>>,
}

/// A line that a plugin has logged with `tracing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    #[cfg(feature = "log")]
    pub level: tracing::Level,
    /// Where it comes from: the module, unless the event says otherwise.
    pub target: String,
    /// The message, with its fields as `key=value`.
    pub message: String,
}

impl Grants {
    pub(super) fn none() -> Self {
        Grants {
            config: None,
            env: BTreeMap::new(),
            buckets: RefCell::default(),
            logs: RefCell::default(),
            http: Vec::new(),
            #[cfg(feature = "service")]
            metadata: Vec::new(),
            #[cfg(feature = "service")]
            answered: RefCell::default(),
            clock: (SystemTime::now(), super::now()),
            background: Cell::new(0),
            idle: RefCell::default(),
        }
    }

    /// Who answers calls to an origin.
    #[cfg(feature = "client")]
    pub(crate) fn http(&self, origin: &str) -> Option<Serve> {
        let wanted = normal(origin);
        let grants = |granted: &str| match normal(granted).split_once("://*.") {
            Some((scheme, suffix)) => {
                let host = wanted.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
                host.and_then(|host| host.strip_suffix(suffix))
                    .is_some_and(|name| name.len() > 1 && name.ends_with('.'))
            }
            None => normal(granted) == wanted,
        };
        self.http.iter().find(|(granted, _)| grants(granted)).map(|(_, serve)| serve.clone())
    }

    /// Waits until nothing is left in the background.
    pub(super) async fn idle(&self) {
        poll_fn(|cx| {
            if self.background.get() == 0 {
                return Poll::Ready(());
            }
            self.idle.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// An origin in lower case, with its port.
#[cfg(feature = "client")]
fn normal(origin: &str) -> String {
    let mut origin = origin.trim_end_matches('/').to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://").unwrap_or(("", &origin));
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !has_port {
        let port = if scheme == "https" { ":443" } else { ":80" };
        origin.push_str(port);
    }
    origin
}

/// The grants of the plugin that runs now.
pub(crate) fn current() -> Option<Rc<Grants>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Runs a future as part of a plugin.
pub(super) async fn within<T>(grants: Rc<Grants>, future: impl Future<Output = T>) -> T {
    struct Restore(Option<Rc<Grants>>);

    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }

    let mut future = pin!(future);
    poll_fn(|cx| {
        let _restore = Restore(CURRENT.replace(Some(grants.clone())));
        future.as_mut().poll(cx)
    })
    .await
}

/// Goes on with `work` beside the test, as part of the plugin that runs now.
pub(crate) fn in_background(work: impl Future<Output = ()> + 'static) {
    let Some(grants) = current() else { return super::spawn(work) };
    grants.background.set(grants.background.get() + 1);
    super::spawn(async move {
        within(grants.clone(), work).await;
        grants.background.set(grants.background.get() - 1);
        grants.idle.take().into_iter().for_each(Waker::wake);
    });
}

/// The time of day, as the plugin that runs now is told.
pub(crate) fn time_of_day() -> SystemTime {
    match current() {
        Some(grants) => {
            let (base, at) = grants.clock;
            base + super::now().saturating_sub(at)
        }
        None => SystemTime::now(),
    }
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use super::*;
    use crate::IntoResponse;

    #[test]
    fn an_origin_is_granted_by_scheme_host_and_port() {
        let mut grants = Grants::none();
        for origin in ["https://api.example.com", "http://*.example.org:8080"] {
            grants.http.push((origin.to_owned(), Rc::new(|_| ().into_response())));
        }
        for (origin, granted) in [
            ("https://api.example.com", true),
            ("https://API.example.com:443", true),
            ("http://api.example.com", false),
            ("https://api.example.com:8443", false),
            ("https://other.example.com", false),
            ("http://a.b.example.org:8080", true),
            ("http://example.org:8080", false),
            ("http://badexample.org:8080", false),
        ] {
            assert_eq!(grants.http(origin).is_some(), granted, "{origin}");
        }
    }
}
