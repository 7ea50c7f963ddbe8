use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Request, Response, StatusCode};
use prost_types::FileDescriptorProto;
use wharf_call::{
    Body, BoxFuture, Call, Door, Failure, FunctionId, HttpService, Invocation, Kind, Metadata, Refused,
    Reply, RequestId, Schema, Service, Value,
};
use wharf_doors::body::pay;
use wharf_doors::call;

use crate::body::{Many, deadline_passed};
use crate::builtin::Builtin;
use crate::frame::{self, Frames};
use crate::merge::{Origin, merge};
use crate::plan::{Field, Method, Plan};
use crate::status::{self, APPLICATION_GRPC, Details, ENCODINGS, GRPC_ACCEPT_ENCODING};
use crate::web::{self, Protocol};
use crate::{GrpcConfig, compile, decode, encode, input, print};

static GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// The gRPC door: the services of one generation of each plugin behind it.
pub struct GrpcDoor {
    shared: Arc<Shared>,
    /// By path, the position in [`Plan::methods`].
    paths: HashMap<String, usize>,
    builtin: Builtin,
    names: Vec<String>,
}

/// What calls need for as long as they run, which may be longer than the door is there.
struct Shared {
    plan: Plan,
    services: Vec<Arc<dyn Service>>,
    /// Of each interface of the merged schema.
    origins: Vec<Origin>,
    config: GrpcConfig,
}

impl GrpcDoor {
    /// A door to all functions of `services`.
    ///
    /// # Errors
    /// Everything that keeps them from being served together, a line each with the names of the plugins: an interface that
    /// two of them export, a type of one package that they define differently, packages that import each other.
    pub fn new(services: &[Arc<dyn Service>], config: GrpcConfig) -> Result<Self, Vec<String>> {
        let schemas: Vec<_> =
            services.iter().map(|service| (service.plugin(), service.schema().as_ref())).collect();
        let merged = merge(&schemas)?;
        let plan = compile::compile(&merged.schema)?;
        let paths = plan.methods.iter().enumerate().map(|(at, method)| (method.path.clone(), at)).collect();
        let builtin = Builtin::new(&plan, config.reflection)?;
        let names = plan.services.iter().cloned().chain(builtin.names()).collect();
        let services = services.to_vec();
        Ok(GrpcDoor {
            shared: Arc::new(Shared { plan, services, origins: merged.origins, config }),
            paths,
            builtin,
            names,
        })
    }

    /// The full names of all services, such as `demo.users.v1.Accounts`, those of reflection and health among them. A call of
    /// one is a POST to `/{name}/{method}`.
    pub fn service_names(&self) -> &[String] {
        &self.names
    }

    /// The contract: name and text of each `.proto` file, a file after those that it imports.
    pub fn protos(&self) -> Vec<(String, String)> {
        texts(&self.shared.plan.files)
    }

    async fn answer(
        &self,
        request: Request<Body>,
        mut invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        let Some(protocol) = Protocol::of(&request) else { return Ok(unsupported()) };
        if request.method() != HttpMethod::POST {
            return Err(Failure::new(Kind::MethodNotAllowed, "gRPC is POST only.").with_allow("POST"));
        }
        let request = web::open(request, protocol);
        let path = request.uri().path();
        let response = if let Some(at) = self.paths.get(path) {
            let (head, body) = request.into_parts();
            let (asked, sound) = Asked::of(&head.headers);
            let config = &self.shared.config;
            let exchange = Arc::new(Exchange {
                shared: self.shared.clone(),
                at: *at,
                request_id: invocation.request_id.clone(),
                gzip: asked.takes_gzip && config.compress_from_bytes < config.message_out_bytes_max,
            });
            invocation.metadata = Metadata::of(head.headers);
            let metadata = invocation.metadata.clone();
            let answered = match sound {
                Ok(()) => exchange.run(asked, body, invocation).await,
                Err(failure) => Err(failure),
            };
            let mut response = answered.unwrap_or_else(|failure| {
                let details = exchange.details(&failure);
                status::response(failure, details)
            });
            metadata.write_answer(response.headers_mut());
            response
        } else if let Some(response) = self.builtin.call(request).await {
            response
        } else {
            no_such_method(&invocation)
        };
        Ok(web::close(response, protocol))
    }
}

/// Answers every call with UNIMPLEMENTED: what stands where no door does, for clients that make little of a 404.
pub struct NoMethods;

impl HttpService for NoMethods {
    fn name(&self) -> &str {
        "grpc"
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        let answer = Protocol::of(&request)
            .map_or_else(unsupported, |protocol| web::close(no_such_method(&invocation), protocol));
        Box::pin(async { Ok(answer) })
    }

    fn refuse(&self, failure: &Failure, request_id: &str) -> Option<Response<Body>> {
        Some(refused(failure, request_id))
    }
}

fn no_such_method(invocation: &Invocation) -> Response<Body> {
    let failure = Failure::new(Kind::NotImplemented, "There is no such method.");
    refused(&failure, invocation.request_id.as_str())
}

fn refused(failure: &Failure, request_id: &str) -> Response<Body> {
    status::response(failure.clone(), Details { request_id, ..Details::default() })
}

impl HttpService for GrpcDoor {
    fn name(&self) -> &str {
        "grpc"
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(self.answer(request, invocation))
    }

    fn refuse(&self, failure: &Failure, request_id: &str) -> Option<Response<Body>> {
        Some(refused(failure, request_id))
    }
}

/// The contract of one schema without anything behind it: name and text of each `.proto` file, a file after those that it
/// imports.
///
/// # Errors
/// As of [`GrpcDoor::new`].
pub fn protos(schema: &Schema) -> Result<Vec<(String, String)>, Vec<String>> {
    let merged = merge(&[("component", schema)])?;
    Ok(texts(&compile::compile(&merged.schema)?.files))
}

fn texts(files: &[FileDescriptorProto]) -> Vec<(String, String)> {
    files.iter().map(|file| (file.name().to_owned(), print::print(file))).collect()
}

/// One call, for as long as it runs.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    /// The position in [`Plan::methods`].
    at: usize,
    request_id: RequestId,
    /// Whether the client takes compressed messages.
    gzip: bool,
}

impl Exchange {
    pub(crate) fn method(&self) -> &Method {
        &self.shared.plan.methods[self.at]
    }

    fn origin(&self) -> Origin {
        self.shared.origins[self.method().interface]
    }

    fn service(&self) -> &dyn Service {
        &*self.shared.services[self.origin().plugin]
    }

    /// What is told of a failure of this call.
    pub(crate) fn details(&self, failure: &Failure) -> Details<'_> {
        let plan = &self.shared.plan;
        let error = self.method().error.zip(failure.error()).and_then(|(id, error)| {
            let mut out = Vec::new();
            let bytes_max = self.shared.config.message_out_bytes_max;
            let encoded = encode::encode_message(plan, id, error, bytes_max, &mut out);
            encoded.is_ok().then(|| (plan.message(id).name.as_str(), out))
        });
        Details { request_id: self.request_id.as_str(), plugin: Some(self.service().plugin()), error }
    }

    /// Appends the message with `value` as the result.
    pub(crate) fn append(&self, value: Option<&Value>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let config = &self.shared.config;
        let gzip_from = self.gzip.then_some(config.compress_from_bytes);
        frame::append(out, gzip_from, |out| {
            let field = self.method().result.as_ref();
            encode::encode(&self.shared.plan, field, value, config.message_out_bytes_max, out)
        })
    }

    /// Messages that are paid for until they are sent.
    pub(crate) fn pay(&self, messages: Vec<u8>) -> Result<Bytes, Failure> {
        pay(messages, &self.shared.config.memory)
    }

    /// The values of `fields` in a message.
    pub(crate) fn read(&self, fields: &[Field], message: &Bytes) -> Result<Vec<Value>, Failure> {
        Ok(decode::decode(&self.shared.plan, fields, message, self.shared.config.value_bytes_max)?)
    }

    async fn run(
        self: &Arc<Self>,
        Asked { gzip, limit, .. }: Asked,
        body: Body,
        mut invocation: Invocation,
    ) -> Result<Response<Body>, Failure> {
        if let Some(name) = invocation.metadata.not_base64() {
            let text = format!("The metadata {name:?} is not base64, which the value of a name in -bin is.");
            return Err(Failure::new(Kind::BadRequest, text));
        }
        let Some(limit) = limit else { return self.go(body, gzip, invocation, None).await };
        let now = Instant::now();
        invocation.deadline = invocation.deadline.narrow(now, limit);
        let Some(due) = now.checked_add(limit) else { return self.go(body, gzip, invocation, None).await };
        match tokio::time::timeout_at(due.into(), self.go(body, gzip, invocation, Some(due))).await {
            Ok(answered) => answered,
            Err(_) => Err(deadline_passed()),
        }
    }

    /// Reads the request, makes the call and begins the response. `due` is when all of it has to be done.
    async fn go(
        self: &Arc<Self>,
        body: Body,
        gzip: bool,
        invocation: Invocation,
        due: Option<Instant>,
    ) -> Result<Response<Body>, Failure> {
        let config = &self.shared.config;
        let method = self.method();
        let mut frames = Frames::new(body, gzip, config.message_in_bytes_max, config.memory.clone());
        let failed: Fault = method.takes_stream().then(Arc::default);
        let (args, input) = if let Some(failed) = &failed {
            let mut values =
                if method.params == 0 { vec![Value::NONE] } else { self.first(&mut frames).await? };
            let first = match values.pop() {
                Some(Value::Option(Some(first))) => Some(*first),
                _ => None,
            };
            (values, Some(input::items(self.clone(), frames, first, failed.clone())))
        } else {
            let values = self.first(&mut frames).await?;
            if frames.next().await?.is_some() {
                return Err(cardinality("The method takes one message, and got more."));
            }
            (values, None)
        };
        let function = FunctionId { interface: self.origin().interface, function: method.function };
        let called = Call { function, args, input, door: Door::Grpc };
        let reply = call::invoke(self.service(), called, invocation).await;
        if let Some(failure) = failed.as_ref().and_then(|failed| failed.get()) {
            return Err(failure.clone());
        }
        let body = match (reply?, method.streams) {
            (Reply::Value(value), false) => {
                let mut out = Vec::with_capacity(128);
                self.append(value.as_ref(), &mut out)?;
                Body::Trailed(self.pay(out)?, Box::new(status::ok()))
            }
            (Reply::Stream(stream), true) => {
                let deadline = due.map(|due| Box::pin(tokio::time::sleep_until(due.into())));
                Body::stream(Many::new(self.clone(), stream, deadline, failed))
            }
            _ => {
                return Err(Failure::new(
                    Kind::Internal,
                    "The plugin's answer is not of the kind that it declares.",
                ));
            }
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        // With what the gateway and hyper add: a map that grows hashes every name again.
        headers.reserve(6);
        headers.insert(CONTENT_TYPE, APPLICATION_GRPC);
        headers.insert(&GRPC_ACCEPT_ENCODING, ENCODINGS);
        if self.gzip {
            headers.insert(&GRPC_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(response)
    }

    /// The values of the first message.
    async fn first(&self, frames: &mut Frames) -> Result<Vec<Value>, Failure> {
        match frames.next().await? {
            Some(message) => self.read(&self.method().request, &message),
            None => Err(cardinality("The request ended before its first message, which has the parameters.")),
        }
    }
}

/// What was wrong with what the client streamed, where it streams.
pub(crate) type Fault = Option<Arc<OnceLock<Failure>>>;

/// What the header fields of a request ask for.
#[derive(Default)]
struct Asked {
    /// Whether its messages may be compressed.
    gzip: bool,
    /// Whether those of the response may be.
    takes_gzip: bool,
    /// How long the client waits.
    limit: Option<Duration>,
}

impl Asked {
    /// What they ask for, as far as it can be read, and what is wrong with them.
    fn of(headers: &HeaderMap) -> (Self, Result<(), Failure>) {
        let (mut asked, mut sound) = (Asked::default(), Ok(()));
        // One pass: looking each of them up costs more than all fields that a client sends.
        for (name, value) in headers {
            let read = match name.as_str() {
                "grpc-encoding" => sent_gzip(value).map(|gzip| asked.gzip = gzip),
                "grpc-timeout" => timeout(value).map(|limit| asked.limit = Some(limit)),
                "grpc-accept-encoding" => {
                    asked.takes_gzip |= has_gzip(value);
                    Ok(())
                }
                _ => continue,
            };
            sound = sound.and(read);
        }
        (asked, sound)
    }
}

/// Whether messages of this encoding are compressed.
fn sent_gzip(value: &HeaderValue) -> Result<bool, Failure> {
    match value.as_bytes() {
        b"identity" => Ok(false),
        b"gzip" => Ok(true),
        other => {
            let shown: String = String::from_utf8_lossy(other).chars().take(40).collect();
            Err(Failure::new(
                Kind::NotImplemented,
                format!("The encoding {shown:?} is not known here. Use gzip."),
            ))
        }
    }
}

fn has_gzip(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|name| name.trim_ascii() == b"gzip")
}

/// `grpc-timeout`: one to eight digits and a unit.
fn timeout(value: &HeaderValue) -> Result<Duration, Failure> {
    let parse = |value: &[u8]| {
        let (unit, digits) = value.split_last()?;
        if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let n: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(match unit {
            b'H' => Duration::from_secs(n * 3600),
            b'M' => Duration::from_secs(n * 60),
            b'S' => Duration::from_secs(n),
            b'm' => Duration::from_millis(n),
            b'u' => Duration::from_micros(n),
            b'n' => Duration::from_nanos(n),
            _ => return None,
        })
    };
    parse(value.as_bytes()).ok_or_else(|| {
        let said = "grpc-timeout is not one to eight digits and one of the units H, M, S, m, u, n.";
        Failure::new(Kind::BadRequest, said)
    })
}

/// The wrong number of messages (gRPC, `doc/statuscodes.md`: UNIMPLEMENTED).
fn cardinality(said: &'static str) -> Failure {
    Failure::new(Kind::NotImplemented, said)
}

/// The answer to what is not gRPC, which is 415 whatever it is (gRPC over HTTP/2, "Requests").
fn unsupported() -> Response<Body> {
    let said =
        "gRPC needs HTTP/2 and the content type application/grpc; gRPC-Web needs application/grpc-web.";
    let mut response = Response::new(Body::whole(said));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.extensions_mut().insert(Refused(Failure::new(Kind::UnsupportedMediaType, said)));
    response
}
