//! The `.proto` files, for whoever generates a client.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use wharf_call::{Body, BoxFuture, Failure, HttpService, Invocation, Kind};

/// Serves `.proto` files below a path that ends in `/`: the path itself is a list of their names, a line each.
pub struct ProtoFiles {
    below: &'static str,
    files: Vec<(String, String)>,
}

impl ProtoFiles {
    /// Serves `files`, each by its name, below `below`.
    pub fn new(below: &'static str, files: Vec<(String, String)>) -> Self {
        ProtoFiles { below, files }
    }

    fn find(&self, path: &str) -> Result<String, Failure> {
        let name = path.strip_prefix(self.below).unwrap_or_default();
        if name.is_empty() {
            return Ok(self.files.iter().map(|(name, _)| format!("{name}\n")).collect());
        }
        let found = self.files.iter().find(|(has, _)| has == name).map(|(_, text)| text.clone());
        found.ok_or_else(|| {
            Failure::new(Kind::NotFound, format!("There is no such file; {} lists them.", self.below))
        })
    }
}

impl HttpService for ProtoFiles {
    fn name(&self) -> &str {
        "grpc"
    }

    fn call<'a>(
        &'a self,
        request: Request<Body>,
        _invocation: Invocation,
    ) -> BoxFuture<'a, Result<Response<Body>, Failure>> {
        Box::pin(async move {
            let mut response = Response::new(Body::whole(self.find(request.uri().path())?));
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, plain);
            Ok(response)
        })
    }
}
