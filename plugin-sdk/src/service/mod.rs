//! Services: the plugin exports functions, and the host serves them as REST, gRPC, GraphQL and JSON-RPC.
//!
//! A service is an interface in WIT and a type that implements it. There is no protocol in it: names, numbers and
//! errors of each door follow from the interface, and so do the documentation that clients read and what they are
//! told when they send something else.
//!
//! # A first service
//!
//! `wit/library.wit` says what there is:
//!
//! ```wit
//! /// A library.
//! package demo:library@1.0.0;
//!
//! /// Its books.
//! interface books {
//!     /// A book.
//!     record book {
//!         id: u32,
//!         title: string,
//!         /// None while nobody has read it.
//!         stars: option<f32>,
//!     }
//!
//!     /// Why it did not work.
//!     variant failure {
//!         /// There is no such book.
//!         not-found,
//!         /// There is one with that title.
//!         /// @kind conflict
//!         title-taken(string),
//!     }
//!
//!     /// The book of that id.
//!     /// @query
//!     get: async func(id: u32) -> result<book, failure>;
//!
//!     /// Adds a book.
//!     add: async func(title: string) -> result<book, failure>;
//! }
//! ```
//!
//! `src/lib.rs` says what it does. [`wit!`](crate::wit) makes a module of each interface, with its types and the trait
//! `Service`; a function that is missing, or that takes or returns something else, is an error of the compiler's:
//!
//! ```
//! # use wharf_sdk as wharf;
//! use std::cell::RefCell;
//!
//! # /*
//! wharf::wit!("wit");
//! # */
//! # wharf::wit!(inline = "package demo:library@1.0.0; interface books {
//! #     record book { id: u32, title: string, stars: option<f32> }
//! #     variant failure { not-found, title-taken(string) }
//! #     get: async func(id: u32) -> result<book, failure>;
//! #     add: async func(title: string) -> result<book, failure>; }");
//!
//! use books::{Book, Failure};
//!
//! #[derive(Default)]
//! struct Library {
//!     /// For the example's sake: what is to last belongs into a bucket of `wharf::kv`.
//!     books: RefCell<Vec<Book>>,
//! }
//!
//! #[wharf::service]
//! impl books::Service for Library {
//!     async fn get(&self, id: u32) -> Result<Book, Failure> {
//!         self.books.borrow().get(id as usize).cloned().ok_or(Failure::NotFound)
//!     }
//!
//!     async fn add(&self, title: String) -> Result<Book, Failure> {
//!         let mut books = self.books.borrow_mut();
//!         if books.iter().any(|book| book.title == title) {
//!             return Err(Failure::TitleTaken(title));
//!         }
//!         let book = Book { id: books.len() as u32, title, stars: None };
//!         books.push(book.clone());
//!         Ok(book)
//!     }
//! }
//! # fn main() {
//! #     use books::Service;
//! #     wharf::testing::block_on(async {
//! #         let library = Library::default();
//! #         let book = library.add("Moby-Dick".into()).await.unwrap();
//! #         assert_eq!(library.get(0).await.unwrap(), book);
//! #         assert!(matches!(library.get(1).await, Err(Failure::NotFound)));
//! #     });
//! # }
//! ```
//!
//! `Cargo.toml` asks for the feature, and `wharf.toml` needs no more than the plugin:
//!
//! ```toml
//! [dependencies]
//! wharf = { package = "wharf-sdk", path = "../wharf/plugin-sdk", features = ["service"] }
//! ```
//!
//! ```toml
//! [plugin.library]
//! component = "target/wasm32-wasip2/release/library.wasm"
//! build     = "cargo build --release --target wasm32-wasip2"
//! ```
//!
//! Every function is served under its name: `POST /rpc/demo:library@1/books/get` with `{"id": 0}`, the method `Get` of
//! the gRPC service `demo.library.v1.Books`, the field `get` of a GraphQL query, the method `get` of JSON-RPC. A
//! route gives it an address of its own, with parameters from the path, the query, the header or the body:
//!
//! ```toml
//! [[route]]
//! path     = "/books/{id}"
//! methods  = ["GET"]
//! plugin   = "library"
//! function = "books.get"
//! ```
//!
//! # The WIT
//!
//! A package without a `world` exports each of its interfaces that has functions. With a world, it exports what the
//! world says, and imports it, too; of several worlds, `wharf::wit!("wit", world = "name")` names one.
//!
//! Documentation comments reach the clients: in the OpenAPI document, the `.proto`, the GraphQL schema. A build embeds
//! them in the component, in the custom section `wharf:wit`, where the host finds them. Lines that begin with `@` are
//! for the host:
//!
//! | line | on | what |
//! |---|---|---|
//! | `@query` | a function | It changes nothing: a query in GraphQL, rather than a mutation. |
//! | `@kind conflict` | a case of an error | Which [kind](crate::Failure) of failure it is. |
//!
//! # Types
//!
//! | WIT | Rust |
//! |---|---|
//! | `bool`, `u8` … `u64`, `s8` … `s64`, `f32`, `f64`, `char`, `string` | `bool`, `u8` … `u64`, `i8` … `i64`, `f32`, `f64`, `char`, `String` |
//! | `list<T>`, `option<T>`, `result<T, E>`, `tuple<A, B>` | `Vec<T>`, `Option<T>`, `Result<T, E>`, `(A, B)` |
//! | `list<T, 4>`, `map<K, V>` | `[T; 4]`, `BTreeMap<K, V>` |
//! | `record`, `variant`, `enum` | `struct`, `enum`, `enum` |
//! | `flags` | a struct with a constant for each flag, as of the crate `bitflags` |
//!
//! They implement `Debug`, `Clone` and `PartialEq`; `wharf::wit!("wit", derive(serde::Serialize, serde::Deserialize))`
//! has them derive more, except flags. A record with nothing but numbers is `Copy`, too.
//!
//! An `async func` is an `async fn`, and may wait; a `func` is an `fn`. Both take `&self`: an instance has one value of
//! the type, and serves one call at a time unless the manifest sets `pool.concurrency`. It is made with
//! [`Lifecycle::start`], or with `Default` where the type has no [`Lifecycle`]. One type may serve several interfaces. It is
//! visible in the whole crate: in another module than the root, write `pub(crate)`.
//!
//! # Errors
//!
//! `Err` of a function's `result<T, E>` is an answer: each door sends it with the status of its kind, and the error
//! itself beside it. The kind is the case's name where that is a [kind](crate::Failure) (`not-found`, `conflict`,
//! `unavailable` …), or what `@kind` says, or else `unprocessable`. The text is the case's payload if it is a string, its
//! `message` if it is a record with one, or the case's documentation.
//!
//! To use `?`, have the error made of others. What a client cannot help belongs into the log:
//!
//! ```
//! # use wharf_sdk as wharf;
//! # enum Failure { Unavailable }
//! impl From<wharf::kv::Error> for Failure {
//!     fn from(error: wharf::kv::Error) -> Self {
//!         wharf::tracing::error!("the library cannot be reached: {error}");
//!         Failure::Unavailable
//!     }
//! }
//! ```
//!
//! # Streams
//!
//! A `stream` of bytes, strings or other scalars can be a parameter, what is returned, or both. Records cannot go
//! through one yet: for them, the function returns a resource that says who streams. In Rust all of them look the same:
//!
//! | the function returns | with the methods | in Rust |
//! |---|---|---|
//! | a resource | `next: async func() -> result<option<T>, E>` | returns `Result<impl Stream<Item = Result<T, E>>, E>` |
//! | a resource | `push: async func(item: T) -> result<_, E>`, `finish: async func() -> result<S, E>` | takes a [`Streaming<T>`], returns `Result<S, E>` |
//! | a resource | all three; `finish` returns `result<_, E>` | takes a `Streaming<T>`, returns `Result<impl Stream<Item = Result<R, E>>, E>` |
//! | `stream<T>` | | returns `impl Stream<Item = T>`; of bytes, `impl Stream<Item = Bytes>` |
//! | with a parameter `stream<T>` | | takes a [`Streaming<T>`]; of bytes, a `Streaming<Bytes>` |
//!
//! [`Items`] and [`Streaming::from_fn`] make streams of closures, and every other [`Stream`] will do.
//!
//! ```
//! # use wharf_sdk as wharf;
//! use wharf::service::{Items, Stream, Streaming};
//!
//! # /*
//! wharf::wit!("wit");
//! # */
//! wharf::wit!(inline = "
//!     package demo:sums@1.0.0;
//!     interface sums {
//!         record measure { value: f64 }
//!         enum failure { too-many }
//!         resource squares { next: async func() -> result<option<measure>, failure>; }
//!         resource total {
//!             push: async func(item: measure) -> result<_, failure>;
//!             finish: async func() -> result<measure, failure>;
//!         }
//!         count: async func(to: u32) -> result<squares, failure>;
//!         add: async func() -> result<total, failure>;
//!     }
//! ");
//!
//! use sums::{Failure, Measure};
//!
//! #[derive(Default)]
//! struct Sums;
//!
//! #[wharf::service]
//! impl sums::Service for Sums {
//!     async fn count(&self, to: u32) -> Result<impl Stream<Item = Result<Measure, Failure>>, Failure> {
//!         if to > 1_000 {
//!             return Err(Failure::TooMany);
//!         }
//!         Ok(Items::new(async move |items| {
//!             for n in 0..to {
//!                 items.send(Measure { value: f64::from(n * n) }).await;
//!             }
//!             Ok(())
//!         }))
//!     }
//!
//!     async fn add(&self, mut measures: Streaming<Measure>) -> Result<Measure, Failure> {
//!         let mut sum = 0.0;
//!         while let Some(measure) = measures.next().await {
//!             sum += measure.value;
//!         }
//!         Ok(Measure { value: sum })
//!     }
//! }
//! # fn main() {
//! #     use sums::Service;
//! #     wharf::testing::block_on(async {
//! #         let mut squares = std::pin::pin!(Sums.count(3).await.unwrap());
//! #         let mut all = Vec::new();
//! #         while let Some(square) = wharf::service::next(&mut squares).await { all.push(square.unwrap()); }
//! #         assert_eq!(Sums.add(Streaming::of(all)).await.unwrap(), Measure { value: 5.0 });
//! #     });
//! # }
//! ```
//!
//! A stream is made as it is taken: nothing runs ahead of the caller by more than an item. When the caller goes away, it
//! is dropped, and so is a function that takes a stream, without having seen the end of it. What a function with
//! `push` has not taken when it returns is dropped. An instance serves nobody else while it streams, unless the manifest
//! sets `pool.concurrency`: raise `pool.max` to as many callers as there may be.
//!
//! # Who calls
//!
//! [`call`] has the context of the call that goes on, what its caller sent along as metadata of gRPC or header fields of HTTP,
//! and takes what is to go with the answer.
//!
//! # A handler beside it
//!
//! A component may answer requests of its own, too: the type implements [`Handler`](crate::Handler), or has
//! [`#[wharf::router]`](macro@crate::router) on its methods, and its hooks are the handler's. The service says so with
//! `handler`:
//!
//! ```
//! # use wharf_sdk as wharf;
//! # /*
//! wharf::wit!("wit", handler);
//! # */
//! # wharf::wit!(inline = "package demo:clock@1.0.0; interface clock { now: func() -> u64; }", handler);
//!
//! #[derive(Default)]
//! struct Clock;
//!
//! #[wharf::router]
//! impl Clock {
//!     #[get("/now")]
//!     async fn show(&self) -> String {
//!         format!("{}\n", clock::Service::now(self))
//!     }
//! }
//!
//! #[wharf::service]
//! impl clock::Service for Clock {
//!     fn now(&self) -> u64 {
//!         wharf::time::now().elapsed().unwrap_or_default().as_secs()
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! # Testing
//!
//! The functions of a service are functions: a native test calls them. [`testing::Plugin::run`] grants what they use, and
//! [`Streaming::of`] streams into them.
//!
//! ```
//! # use wharf_sdk as wharf;
//! # wharf::wit!(inline = "package demo:notes@1.0.0; interface notes { read: async func(id: string) -> option<string>; }");
//! # #[derive(Default)] struct Notes;
//! # #[wharf::service] impl notes::Service for Notes {
//! #     async fn read(&self, id: String) -> Option<String> {
//! #         wharf::kv::Bucket::open("notes").ok()?.get_text(&id).ok()?
//! #     }
//! # }
//! # /*
//! #[wharf::test]
//! # */
//! async fn a_note_is_read() {
//!     use notes::Service;
//!
//!     let plugin = wharf::testing::Plugin::without_handler().value("notes", "7", "buy milk");
//!     let note = plugin.run(Notes.read("7".into())).await;
//!     assert_eq!(note.as_deref(), Some("buy milk"));
//! }
//! # fn main() { wharf::testing::block_on(a_note_is_read()); }
//! ```
//!
//! [`testing::Plugin::run`]: crate::testing::Plugin::run

pub mod call;
mod flow;
mod instance;
#[cfg(test)]
mod tests;

pub use crate::streaming::{Items, Sender, Streaming, next};
pub use futures_core::Stream;
pub use instance::Lifecycle;

/// For the code that the macros write.
#[doc(hidden)]
pub mod private {
    pub use super::flow::{Chat, Rows, Upload};
    pub(crate) use super::instance::handler_started;
    pub use super::instance::{
        ByDefault, ByHandler, ByLifecycle, How, Serves, health, instance, prepare, start, stop,
    };
    pub use crate::streaming::wire::{read, read_bytes, write, write_bytes};
}
