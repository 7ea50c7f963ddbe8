//! Does everything that a well-behaved plugin does, one thing for each path. README.md lists them.

use std::cell::Cell;
use std::time::Duration;

use serde_json::json;
use shared::{clock, query};
use wharf::{
    Body, Context, Failure, Handler, HeaderMap, HeaderValue, IntoResponse, OrFail, Request, Response, Result,
    StatusCode,
};

struct Kitchen {
    served: Cell<u64>,
}

#[wharf::handler]
impl Handler for Kitchen {
    async fn start() -> Result<Self> {
        Ok(Kitchen { served: Cell::new(0) })
    }

    async fn handle(&self, request: Request, context: Context) -> Result<Response> {
        self.served.set(self.served.get() + 1);
        let path = request.uri().path().to_owned();
        let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        match first {
            "hello" => "hello\n".into_response(),
            "reflect" => reflect(request, &context).await,
            "count" => format!("{}\n", self.served.get()).into_response(),
            "memory" => format!("{}\n", memory_pages()).into_response(),
            "upload" => upload(request).await.into_response(),
            "download" => download(&request),
            "echo" if std::env::var("ECHO").is_ok_and(|how| how == "whole") => {
                request.into_body().bytes().await?.into_response()
            }
            "echo" => echo(request),
            "sse" => events(&request),
            "trailers" => trailers(),
            "fail" => Err(Failure::new(rest.to_owned(), "told to fail").with_details("secret detail")),
            "error" => parse_nonsense().into_response(),
            "cut" => cut().into_response(),
            "status" => {
                StatusCode::from_bytes(rest.as_bytes()).or_bad_request("not a status")?.into_response()
            }
            "cookies" => cookies(),
            "log" => log().into_response(),
            "env" => environment().into_response(),
            "wait" => wait(&request).await.into_response(),
            "sleep" => sleep(&request).into_response(),
            _ => Err(Failure::not_found("the kitchen does not serve that")),
        }
    }
}

async fn reflect(mut request: Request, context: &Context) -> Result<Response> {
    let body_bytes = request.body_mut().bytes().await?.len();
    let uri = request.uri();
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let seen = json!({
        "method": request.method().as_str(),
        "scheme": uri.scheme_str(),
        "authority": uri.authority().map(|authority| authority.as_str()),
        "path_with_query": uri.path_and_query().map(|path| path.as_str()),
        "headers": headers,
        "request_id": context.request_id(),
        "traceparent": context.traceparent(),
        "route": context.route(),
        "params": context.params().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
        "caller": context.caller().map(|caller| caller.subject()),
        "deadline_ms": context.deadline().as_millis() as u64,
        "body_bytes": body_bytes,
    });
    Ok(Response::builder().header("content-type", "application/json").body(seen.to_string().into())?)
}

async fn upload(mut request: Request) -> Result<String> {
    let mut bytes = 0_u64;
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    while let Some(chunk) = request.body_mut().chunk().await? {
        bytes += chunk.len() as u64;
        for byte in chunk {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    Ok(format!("{bytes} bytes, {hash:016x}\n"))
}

/// Byte number `n` of a download is `n % 251`, so that no chunk size hides a gap.
fn download(request: &Request) -> Result<Response> {
    const PERIOD: u64 = 251;
    let mut left = query::number(request, "bytes", 1 << 20)?;
    let chunk = query::number(request, "chunk", 64 << 10)?.clamp(1, 1 << 20);
    let pattern: Vec<u8> = (0..chunk + PERIOD).map(|n| (n % PERIOD) as u8).collect();
    let body = Body::stream(move |mut writer| async move {
        let mut sent = 0;
        while left > 0 {
            let size = chunk.min(left) as usize;
            let start = (sent % PERIOD) as usize;
            writer.write(&pattern[start..start + size]).await?;
            sent += size as u64;
            left -= size as u64;
        }
        Ok(())
    });
    Ok(Response::builder().header("content-type", "application/octet-stream").body(body)?)
}

/// `/echo` hands the body on as it came; `/echo?copy` reads and writes every byte. Where the manifest grants
/// `ECHO = "whole"`, the body is read to its end before there is an answer.
fn echo(request: Request) -> Result<Response> {
    let copy = query::flag(&request, "copy");
    let (head, mut body) = request.into_parts();
    let mut response = Response::builder();
    if let Some(content_type) = head.headers.get("content-type") {
        response = response.header("content-type", content_type);
    }
    let body =
        if copy { Body::stream(move |mut writer| async move { writer.copy(&mut body).await }) } else { body };
    Ok(response.body(body)?)
}

fn events(request: &Request) -> Result<Response> {
    let forever = query::flag(request, "forever");
    let events = query::number(request, "events", 3)?;
    let body = Body::stream(move |mut writer| async move {
        for n in (0..).take_while(|n| forever || *n < events) {
            writer.write(format!("data: {n}\n\n")).await?;
        }
        Ok(())
    });
    Ok(Response::builder()
        .header("content-type", "text/event-stream")
        .header("cache-control", "no-store")
        .body(body)?)
}

fn trailers() -> Result<Response> {
    let body = Body::stream(|mut writer| async move {
        writer.write("a body with trailers\n").await?;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("abc"));
        Ok(trailers)
    });
    // HTTP/1.1 sends only the trailers that the head announces.
    Ok(Response::builder().header("trailer", "x-checksum").body(body)?)
}

fn parse_nonsense() -> Result<String> {
    let number: u32 = "nonsense".parse()?;
    Ok(format!("{number}\n"))
}

fn cut() -> Body {
    Body::stream(|mut writer| async move {
        for n in 0..3 {
            writer.write(format!("chunk {n}\n")).await?;
        }
        Err::<(), _>(Failure::unavailable("the source ran dry").with_details("after 3 chunks"))
    })
}

fn cookies() -> Result<Response> {
    Ok(Response::builder()
        .header("set-cookie", "flavour=vanilla; Path=/")
        .header("set-cookie", "size=large; HttpOnly")
        .body(Body::from("two cookies\n"))?)
}

fn log() -> &'static str {
    println!("a line on stdout");
    eprintln!("a line on stderr");
    "logged\n"
}

/// How large the linear memory of this instance is, in pages of 64 KiB.
fn memory_pages() -> usize {
    core::arch::wasm32::memory_size(0)
}

fn environment() -> String {
    let mut variables: Vec<_> = std::env::vars().collect();
    variables.sort();
    variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

async fn wait(request: &Request) -> Result<&'static str> {
    clock::wait(Duration::from_millis(query::number(request, "ms", 100)?)).await;
    Ok("waited\n")
}

/// As `/wait`, with the blocking call of the standard library.
fn sleep(request: &Request) -> Result<&'static str> {
    std::thread::sleep(Duration::from_millis(query::number(request, "ms", 100)?));
    Ok("slept\n")
}
