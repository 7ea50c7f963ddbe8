//! What each door calls a kind of failure: the one table for all of them.

use wharf_call::Kind;

/// A status of gRPC (its `doc/statuscodes.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "gRPC's own list")]
pub enum GrpcCode {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// The gRPC status of a kind.
pub fn grpc(kind: Kind) -> GrpcCode {
    use GrpcCode as Code;
    match kind {
        Kind::BadRequest | Kind::NotAcceptable | Kind::UnsupportedMediaType | Kind::UriTooLong => {
            Code::InvalidArgument
        }
        Kind::Unauthorized => Code::Unauthenticated,
        Kind::Forbidden => Code::PermissionDenied,
        Kind::NotFound | Kind::Gone => Code::NotFound,
        Kind::MethodNotAllowed | Kind::NotImplemented => Code::Unimplemented,
        Kind::RequestTimeout => Code::Cancelled,
        Kind::Conflict => Code::AlreadyExists,
        Kind::UpgradeRequired | Kind::PreconditionFailed | Kind::Unprocessable => Code::FailedPrecondition,
        Kind::PayloadTooLarge | Kind::HeadersTooLarge | Kind::RateLimited => Code::ResourceExhausted,
        Kind::ResponseTooLarge => Code::ResourceExhausted,
        Kind::Internal
        | Kind::GuestFailed
        | Kind::GuestTrapped
        | Kind::MemoryExceeded
        | Kind::BadGateway
        | Kind::InvalidResponse => Code::Internal,
        Kind::Unavailable | Kind::Overloaded => Code::Unavailable,
        Kind::Timeout | Kind::CpuExceeded => Code::DeadlineExceeded,
    }
}

/// The JSON-RPC code of a kind: those of the specification where they fit (section 5.1), and else the HTTP status,
/// which is outside of the range that the specification reserves.
pub fn json_rpc(kind: Kind) -> i64 {
    match kind {
        Kind::BadRequest => -32602,
        Kind::Internal => -32603,
        other => i64::from(other.status()),
    }
}

/// `extensions.code` of GraphQL: the name of the kind in capitals.
pub fn graphql(kind_name: &str) -> String {
    kind_name.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::fmt::Write;

    use super::*;

    /// `UPDATE_EXPECT=1` rewrites the table.
    #[test]
    fn the_page_has_every_kind_at_every_door() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/MAPPING.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (begin, end) = ("<!-- kinds: begin -->\n", "<!-- kinds: end -->");
        let (before, rest) = page.split_once(begin).unwrap();
        let (table, after) = rest.split_once(end).unwrap();
        let mut expected = String::from(
            "| kind | HTTP | gRPC | JSON-RPC | GraphQL `extensions.code` |\n|---|---|---|---|---|\n",
        );
        for kind in Kind::ALL {
            let (name, status) = (kind.name(), kind.status());
            let (grpc, json_rpc, graphql) = (grpc(*kind), json_rpc(*kind), graphql(name));
            let grpc_name = crate::names::screaming(&kebab(&format!("{grpc:?}")));
            writeln!(
                expected,
                "| `{name}` | {status} | {grpc_name} ({}) | {json_rpc} | {graphql} |",
                grpc as u8
            )
            .unwrap();
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
            return;
        }
        assert_eq!(table, expected);
    }

    /// `NotFound` as `not-found`.
    fn kebab(camel: &str) -> String {
        let mut out = String::new();
        for letter in camel.chars() {
            if letter.is_ascii_uppercase() && !out.is_empty() {
                out.push('-');
            }
            out.push(letter.to_ascii_lowercase());
        }
        out
    }

    #[test]
    fn codes_of_json_rpc_are_those_of_its_specification_or_outside_of_what_it_reserves() {
        for kind in Kind::ALL {
            let code = json_rpc(*kind);
            assert!([-32602, -32603].contains(&code) || !(-32768..=-32000).contains(&code), "{kind:?}");
        }
    }
}
