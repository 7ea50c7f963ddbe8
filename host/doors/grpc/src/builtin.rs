//! The services that the host itself answers: reflection and health, by tonic's own implementations.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::server::NamedService;
use tower_service::Service;
use wharf_call::{Body, BoxFuture, Failure, Kind};

use crate::compile::EMPTY_FILE;
use crate::plan::Plan;

type Handler = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The host's own services, by name.
pub(crate) struct Builtin(HashMap<&'static str, Handler>);

impl Builtin {
    /// Health for every service of the plan and for the host, which is the empty name; reflection of the plan if it is wanted.
    pub(crate) fn new(plan: &Plan, reflection: bool) -> Result<Self, Vec<String>> {
        let mut handlers = HashMap::new();
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in &plan.services {
            // Nobody else has the reporter, so its lock is free.
            let set = reporter.set_service_status(name, tonic_health::ServingStatus::Serving);
            set.now_or_never();
        }
        add(&mut handlers, health);
        if reflection {
            let files = FileDescriptorSet { file: described(plan) };
            let builder = || {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                    .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                    .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
                    .include_reflection_service(false)
                    .register_file_descriptor_set(files.clone())
            };
            let failed = |error| vec![format!("gRPC reflection: {error}")];
            add(&mut handlers, builder().build_v1().map_err(failed)?);
            add(&mut handlers, builder().build_v1alpha().map_err(failed)?);
        }
        Ok(Builtin(handlers))
    }

    /// The names of its services, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.keys().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    }

    /// Answers a call of one of its services.
    pub(crate) async fn call(&self, request: Request<Body>) -> Option<Response<Body>> {
        let service = request.uri().path().strip_prefix('/')?.split('/').next()?;
        let handler = self.0.get(service)?.clone();
        Some(handler(request).await)
    }
}

fn add<S>(handlers: &mut HashMap<&'static str, Handler>, server: S)
where
    S: Service<Request<Body>, Response = Response<tonic::body::Body>, Error = std::convert::Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let handler = move |request| -> BoxFuture<'static, Response<Body>> {
        let mut server = server.clone();
        Box::pin(async move {
            let answered = server.call(request).await.unwrap_or_else(|never| match never {});
            answered.map(|body| {
                Body::stream(body.map_err(|status| Failure::new(Kind::Internal, status.message().to_owned())))
            })
        })
    };
    handlers.insert(S::NAME, Arc::new(handler));
}

/// The files of the plan, and the one of Google's that they import.
fn described(plan: &Plan) -> Vec<FileDescriptorProto> {
    let mut files = plan.files.clone();
    if files.iter().any(|file| file.dependency.iter().any(|name| name == EMPTY_FILE)) {
        files.insert(0, empty_file());
    }
    files
}

/// `google/protobuf/empty.proto`.
pub(crate) fn empty_file() -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(EMPTY_FILE.to_owned()),
        package: Some("google.protobuf".to_owned()),
        message_type: vec![prost_types::DescriptorProto {
            name: Some("Empty".to_owned()),
            ..Default::default()
        }],
        syntax: Some("proto3".to_owned()),
        ..Default::default()
    }
}
