use std::fmt;

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
        let version = hex(value.get(0..2)?)?;
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
        let trace_id = hex(&value[3..35])?;
        let span_id = hex(&value[36..52])? as u64;
        let flags = hex(&value[53..55])? as u8;
        (trace_id != 0 && span_id != 0).then_some(TraceContext { trace_id, span_id, flags })
    }

    /// The same trace with another current span.
    #[must_use]
    pub fn child(self, span_id: u64) -> Self {
        TraceContext { span_id: span_id.max(1), ..self }
    }

    /// The 55 bytes of the `traceparent` value, without going through the formatter.
    pub fn to_bytes(self) -> [u8; 55] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let mut put = |at: usize, digits: usize, value: u128| {
            for i in 0..digits {
                let nibble = (value >> (4 * (digits - 1 - i))) & 0xf;
                out[at + i] = DIGITS[nibble as usize];
            }
        };
        put(3, 32, self.trace_id);
        put(36, 16, u128::from(self.span_id));
        put(53, 2, u128::from(self.flags & 1));
        out
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
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(nibble))
    })
}

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
