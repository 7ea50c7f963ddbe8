use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use super::client::Client;
use super::plugin::path;
use super::{Failed, ProfileArgs, print, print_json};
use crate::progress::spinner;

/// What the host may take on top of the recording itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What of a profile is said about it: the number of its samples.
#[derive(serde::Deserialize)]
struct Profile {
    threads: Vec<Thread>,
}

#[derive(serde::Deserialize)]
struct Thread {
    samples: Samples,
}

#[derive(serde::Deserialize)]
struct Samples {
    length: usize,
}

/// Has the running host record what a plugin computes, and writes that to a file.
pub(super) fn run(args: &ProfileArgs) -> Result<(), Failed> {
    let ProfileArgs { name, seconds, output, host } = args;
    let client = Client::find(host)?;
    let target = path(name, &format!("/profile?seconds={seconds}"));
    let spinner = spinner(&format!("recording what {name} computes for {seconds} s"));
    let recorded =
        client.fetch(Method::POST, &target, Bytes::new(), Duration::from_secs(*seconds) + PATIENCE);
    spinner.finish_and_clear();
    let json = recorded?;
    let profile: Profile = serde_json::from_slice(&json).map_err(|error| {
        Failed::new(format!("the host's profile is not understood ({error}); is it another version?"))
    })?;
    let samples: usize = profile.threads.iter().map(|thread| thread.samples.length).sum();
    let file = output.display();
    std::fs::write(output, &json)
        .map_err(|error| Failed::new(format!("{file} cannot be written: {error}")))?;
    if host.json {
        #[derive(Serialize)]
        struct Recorded<'a> {
            plugin: &'a str,
            seconds: u64,
            samples: usize,
            file: String,
        }
        return print_json(&Recorded { plugin: name, seconds: *seconds, samples, file: file.to_string() });
    }
    if samples == 0 {
        eprintln!("{name} computed nothing, or too little to be met by a tick: send it requests meanwhile");
    }
    print(&format!("wrote {samples} samples to {file}; open it at https://profiler.firefox.com\n"))
}
