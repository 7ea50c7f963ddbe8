//! Header fields between WIT and [`http`]. Neither direction panics, whatever the other side sends.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::bindings::wharf::plugin::types::Fields;
use crate::{Failure, Result};

/// Fields as the host sends them. The host has checked them, so a failure here is a host that breaks the
/// contract; it ends this call rather than the instance.
pub(crate) fn from_wit(fields: Fields) -> Result<HeaderMap> {
    // A `HeaderMap` has room for 32,768 fields; `with_capacity` and `append` panic beyond.
    let mut map = HeaderMap::try_with_capacity(fields.len())
        .map_err(|_| broken("more fields than an HTTP message has"))?;
    for (name, value) in fields {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| broken(&format!("{name:?} is not a field name")))?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .map_err(|_| broken(&format!("the value of {name} is not valid")))?;
        map.try_append(parsed, value).map_err(|_| broken("more fields than an HTTP message has"))?;
    }
    Ok(map)
}

/// Fields as the host takes them.
pub(crate) fn to_wit(map: &HeaderMap) -> Fields {
    map.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

fn broken(what: &str) -> Failure {
    Failure::internal("internal error").with_details(format!("the host sent invalid fields: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &[u8])]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
    }

    #[test]
    fn repeated_names_and_opaque_bytes_survive_both_ways() {
        let sent = fields(&[
            ("host", b"example.com"),
            ("cookie", b"a=1"),
            ("cookie", b"b=2"),
            ("x-opaque", b"caf\xc3\xa9 \xff"),
        ]);
        let map = from_wit(sent.clone()).expect("valid");
        assert_eq!(map.get_all("cookie").iter().count(), 2);
        assert_eq!(to_wit(&map), sent);
    }

    #[test]
    fn invalid_fields_fail_the_call_instead_of_panicking() {
        for (name, value) in [("", b"x".as_slice()), ("no spaces", b"x"), ("x", b"a\nb"), ("x", b"a\0b")] {
            let failure = from_wit(fields(&[(name, value)])).expect_err("invalid");
            assert_eq!(failure.kind(), "internal");
            assert!(failure.details().is_some_and(|details| details.contains("fields")), "{failure}");
        }
    }

    #[test]
    fn more_fields_than_a_map_holds_fail_the_call_instead_of_panicking() {
        let many: Fields = (0..40_000).map(|n| (format!("x-{n}"), Vec::new())).collect();
        assert!(from_wit(many).is_err());
        let many: Fields = (0..40_000).map(|_| ("x".to_owned(), Vec::new())).collect();
        // The same name again and again either fits or fails; it must not panic.
        let _ = from_wit(many);
    }
}
