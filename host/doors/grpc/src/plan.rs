//! How the values of a schema lie on the wire: worked out once, so that a call looks nothing up by name.

use prost::encoding::WireType;
use prost_types::FileDescriptorProto;

/// Everything that is served, in protobuf's words.
pub(crate) struct Plan {
    /// One file for each package, a file after those that it imports.
    pub(crate) files: Vec<FileDescriptorProto>,
    /// Every message that is not of one function only.
    pub(crate) messages: Vec<Message>,
    /// Every function, in the order of the schema.
    pub(crate) methods: Vec<Method>,
    /// The full names of the services, in the order of the schema.
    pub(crate) services: Vec<String>,
}

/// The position of a message in [`Plan::messages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId(pub(crate) u32);

/// One function.
pub(crate) struct Method {
    /// `/demo.users.v1.Accounts/GetUser`.
    pub(crate) path: String,
    /// The position of its interface in the merged schema.
    pub(crate) interface: usize,
    /// The position in its interface.
    pub(crate) function: u32,
    /// The fields of the request: the parameters and, where the caller streams, the item.
    pub(crate) request: Vec<Field>,
    /// How many of the fields are parameters.
    pub(crate) params: usize,
    /// The field of the response, which has none when there is nothing to return.
    pub(crate) result: Option<Field>,
    /// Whether there is a response for each item of a stream.
    pub(crate) streams: bool,
    /// The message that the declared error is told in.
    pub(crate) error: Option<MessageId>,
}

impl Method {
    /// Whether the caller streams.
    pub(crate) fn takes_stream(&self) -> bool {
        self.request.len() > self.params
    }
}

/// A message, and the value that it is.
pub(crate) struct Message {
    /// `demo.users.v1.User`.
    pub(crate) name: String,
    pub(crate) shape: Shape,
}

/// What a message holds. Fields are numbered one after the other, from 1.
pub(crate) enum Shape {
    /// A record: each field one of its.
    Record(Vec<Field>),
    /// A tuple: likewise.
    Tuple(Vec<Field>),
    /// Flags: a `bool` for each.
    Flags(u32),
    /// A variant: one of its cases.
    Variant(Vec<Case>),
    /// A result: `ok` or `error`.
    Result([Case; 2]),
    /// A list, map or option in a place that cannot hold one: the value is that of its only field.
    Wrapper(Field),
}

/// A field.
pub(crate) struct Field {
    pub(crate) number: u32,
    /// The name in the `.proto`, for messages.
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// A case of a `oneof`; its number is its position, from 1.
pub(crate) struct Case {
    pub(crate) name: String,
    /// `None` is `google.protobuf.Empty`, for a case without payload.
    pub(crate) payload: Option<Single>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    /// One value, always. A scalar that is its type's zero is not on the wire.
    One(Single),
    /// An option.
    Optional(Single),
    /// A list; of so many where that is fixed.
    Repeated(Single, Option<u32>),
    /// A map.
    Map(Scalar, Single),
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Single {
    /// A value that is no message.
    Scalar(Scalar),
    /// A message within its length.
    Message(MessageId),
}

/// A value that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the types of WIT")]
pub(crate) enum Scalar {
    Bool,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Char,
    String,
    Bytes(Option<u32>),
    /// An enum with so many cases.
    Enum(u32),
}

impl Plan {
    /// The message at `id`.
    pub(crate) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }
}

impl Scalar {
    /// How it is on the wire, when it is not packed.
    pub(crate) fn wire(self) -> WireType {
        match self {
            Scalar::F32 => WireType::ThirtyTwoBit,
            Scalar::F64 => WireType::SixtyFourBit,
            Scalar::Char | Scalar::String | Scalar::Bytes(_) => WireType::LengthDelimited,
            _ => WireType::Varint,
        }
    }
}
