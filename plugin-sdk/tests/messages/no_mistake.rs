use wharf_sdk::{Body, Context, HeaderMap, Path, Request, Result, Router, State};

struct Shared;

#[wharf_sdk::endpoint]
async fn early(_request: Request, _context: Context, _headers: HeaderMap) -> &'static str {
    "the order does not matter\n"
}

#[wharf_sdk::endpoint]
async fn state(State(_shared): State<&Shared>, Path(id): Path<u32>, _body: Body) -> Result<String> {
    Ok(format!("{id}\n"))
}

#[wharf_sdk::router]
fn routes() -> Router {
    Router::new().get("/", early).put("/{id}", state).with_state(Shared)
}
