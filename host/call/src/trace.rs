use std::fmt;

use http::HeaderValue;

use crate::hex;

/// A position in a distributed trace, as W3C Trace Context level 1 has it
/// (<https://www.w3.org/TR/trace-context/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Names the whole trace; never zero.
    pub trace_id: u128,
    /// Names the span that is current here; never zero.
    pub span_id: u64,
    /// Bit 0: the trace is recorded somewhere.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent` value. Anything that the recommendation calls invalid gives `None`:
    /// the trace is then started anew, as section 3.2 of it asks.
    pub fn parse(value: &[u8]) -> Option<Self> {
        // version "-" trace-id "-" parent-id "-" flags; later versions may append "-" and more.
        let version = hex::read(value.get(0..2)?)?;
        let longer = match value.len() {
            55 => false,
            n if n > 55 => value[55] == b'-',
            _ => return None,
        };
        if version == 0xff || (version == 0 && value.len() != 55) || (value.len() > 55 && !longer) {
            return None;
        }
        if value[2] != b'-' || value[35] != b'-' || value[52] != b'-' {
            return None;
        }
        let trace_id = hex::read(&value[3..35])?;
        let span_id = hex::read(&value[36..52])? as u64;
        let flags = hex::read(&value[53..55])? as u8;
        (trace_id != 0 && span_id != 0).then_some(TraceContext { trace_id, span_id, flags })
    }

    /// The same trace with another current span.
    #[must_use]
    pub fn child(self, span_id: u64) -> Self {
        TraceContext { span_id: span_id.max(1), ..self }
    }

    /// The 55 bytes of the `traceparent` value, without going through the formatter.
    pub fn to_bytes(self) -> [u8; 55] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        out[3..35].copy_from_slice(&self.trace_id_hex());
        out[36..52].copy_from_slice(&hex::digits::<16>(self.span_id.into()));
        out[53..].copy_from_slice(&hex::digits::<2>((self.flags & 1).into()));
        out
    }

    /// The `traceparent` value as a header field has it.
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.to_bytes()).expect("digits and hyphens")
    }

    /// The trace id as `traceparent` and logs have it: 32 hex digits.
    pub fn trace_id_hex(&self) -> [u8; 32] {
        hex::digits(self.trace_id)
    }
}

/// The `traceparent` value.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        f.write_str(std::str::from_utf8(&bytes).unwrap_or_default())
    }
}

/// Lower-case hex only, as the recommendation demands.
#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_value_survives() {
        let parsed = TraceContext::parse(VALID.as_bytes()).expect("valid");
        assert_eq!(parsed.to_string(), VALID);
        assert_eq!(
            parsed.child(0x1234).to_string(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000001234-01"
        );
    }

    #[test]
    fn a_later_version_may_be_longer() {
        let later = VALID.replacen("00", "cc", 1) + "-what-the-future-brings";
        assert!(TraceContext::parse(later.as_bytes()).is_some());
    }

    #[test]
    fn invalid_values_are_refused() {
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
