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
        Kind::PreconditionFailed | Kind::Unprocessable => Code::FailedPrecondition,
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
