use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::client::Client;
use super::plugin::path;
use super::{CallArgs, Failed, print};

/// No function takes longer, whatever its plugin's limits say.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3600);

/// What is read from standard input at most; the host takes less.
const ARGUMENTS_BYTES_MAX: u64 = 64 << 20;

/// Calls a function of a plugin of the running host, and prints what it gives.
pub(super) fn run(args: &CallArgs) -> Result<(), Failed> {
    let arguments = match args.arguments.as_str() {
        "-" => {
            let mut text = String::new();
            let read = std::io::stdin().lock().take(ARGUMENTS_BYTES_MAX).read_to_string(&mut text);
            read.map_err(|error| Failed::new(format!("standard input cannot be read: {error}")))?;
            text
        }
        text => text.to_owned(),
    };
    let target = path(&args.plugin, &format!("/call/{}", encoded(&args.function)));
    let client = Client::find(&args.host)?;
    let answer = client.fetch(Method::POST, &target, Bytes::from(arguments), ANSWER_TIMEOUT)?;
    // Nothing, where the function gives nothing.
    if answer.is_empty() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&answer).into_owned();
    if let (false, Ok(json)) = (args.host.json, serde_json::from_str::<serde_json::Value>(&text)) {
        text = serde_json::to_string_pretty(&json).unwrap_or(text);
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    print(&text)
}

/// A function's name as a segment of a path: of what a name may have, only `/` and `%` mean something there.
fn encoded(function: &str) -> String {
    function
        .replace('%', "%25")
        .replace('/', "%2F")
        .replace('?', "%3F")
        .replace('#', "%23")
        .replace(' ', "%20")
}
