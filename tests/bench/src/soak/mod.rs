//! A mixed load with reloads and traps, after which everything must be as it was before.
//!
//! The same load runs twice: first shortly, so that pools, caches and allocators have seen everything once, then
//! for as long as was asked for. After each, a new generation of every plugin is loaded, the host is left
//! alone until its figures no longer change, and they are written down. The verdict compares the two.

mod state;
mod traffic;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;
use wharf_harness::{Host, HostBuilder, TempDir};

use self::state::State;
use self::traffic::Traffic;
use crate::{Result, programs};

/// How long to go on.
#[derive(Args)]
pub(crate) struct Options {
    /// Minutes of load, without the warm-up, which is a fifth of it and at most two minutes.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    minutes: u16,
    /// Loads this host, rather than the one that is built from the tree.
    #[arg(long)]
    wharf: Option<PathBuf>,
}

const WARM_UP_MAX: Duration = Duration::from_secs(120);
/// How often the manifest changes, and with it every plugin.
const MANIFEST: Duration = Duration::from_secs(10);

/// Well-behaved plugins and one that does whatever it must not; each has the number of the manifest in its
/// environment, so that a new number is a new generation of all of them.
const MANIFEST_TEXT: &str = r#"
[log]
access = false
level = "error"

[plugin.kitchen]
component = "{{kitchen}}"
grants.env = { NUMBER = "{NUMBER}" }

[plugin.wasip3]
component = "{{wasip3-http}}"
grants.env = { NUMBER = "{NUMBER}" }

[plugin.wstd]
component = "{{wstd-http}}"
grants.env = { NUMBER = "{NUMBER}" }

[plugin.version]
component = "{{version-one}}"
grants.env = { NUMBER = "{NUMBER}" }

[plugin.rogue]
component = "{{rogue}}"
grants.env = { NUMBER = "{NUMBER}" }
[plugin.rogue.limits]
memory = "16MiB"
cpu = "20ms"
wall = "300ms"
stream_idle = "300ms"
log_lines = 10

[[route]]
path = "/"
plugin = "wstd"
[[route]]
path = "/traceparent"
plugin = "wasip3"
[[route]]
path = "/version"
plugin = "version"
[[route]]
path = "/{*rest}"
plugin = "kitchen"
"#;

#[tokio::main(worker_threads = 1)]
pub(crate) async fn run(options: &Options) -> Result<()> {
    let duration = Duration::from_secs(u64::from(options.minutes) * 60);
    let wharf = options.wharf.clone().map_or_else(programs::wharf, Ok)?;
    let cache = TempDir::new();
    let host = HostBuilder::new(wharf, cache.path()).manifest(&manifest(0)).start().await;
    println!("warm-up");
    let mut manifests = 0;
    load(&host, (duration / 5).min(WARM_UP_MAX), &mut manifests).await?;
    let before = settled(&host, &mut manifests).await;
    println!("begins with {before}");
    let seen = load(&host, duration, &mut manifests).await?;
    let after = settled(&host, &mut manifests).await;
    println!("ended with {after}");
    println!("in between: {seen}");
    let mut wrong = before.differences(&after);
    wrong.extend(seen.wrong());
    if wrong.is_empty() {
        println!("verdict: everything ended where it began");
        return Ok(());
    }
    Err(format!("verdict: {}", wrong.join("; ")).into())
}

/// Loads the host for a while, and reloads it meanwhile.
async fn load(host: &Host, duration: Duration, manifests: &mut u32) -> Result<traffic::Seen> {
    let end = Instant::now() + duration;
    let traffic = Traffic::start(host);
    while Instant::now() < end {
        tokio::time::sleep(MANIFEST.min(end - Instant::now())).await;
        reload(host, manifests).await;
        println!("{} s left: {}", (end - Instant::now()).as_secs(), State::of(host).await);
    }
    traffic.stop().await
}

/// Leaves the host alone, with a new generation of each plugin, until nothing changes any more.
async fn settled(host: &Host, manifests: &mut u32) -> State {
    /// Longer than an idle thread of tokio's pool for blocking work lives.
    const QUIET: Duration = Duration::from_secs(12);
    const PATIENCE: Duration = Duration::from_secs(90);
    reload(host, manifests).await;
    let begun = Instant::now();
    let (mut last, mut since) = (State::of(host).await, Instant::now());
    while since.elapsed() < QUIET && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = State::of(host).await;
        if !last.differences(&now).is_empty() || !now.differences(&last).is_empty() {
            (last, since) = (now, Instant::now());
        }
    }
    // What stood still: one more look could find the connection of the look before still closing.
    last
}

/// Changes the manifest so that every plugin gets a new generation, and waits for the last of them.
async fn reload(host: &Host, manifests: &mut u32) {
    let admin = host.admin();
    let generation = |plugin: &Value| plugin["serving"]["generation"].as_u64();
    let before = admin.plugins().await;
    *manifests += 1;
    host.app().set_manifest(&manifest(*manifests));
    for plugin in before {
        let name = plugin["name"].as_str().unwrap_or_default();
        admin.wait(name, "a new generation", |now| generation(now) > generation(&plugin)).await;
    }
}

fn manifest(number: u32) -> String {
    let attacks =
        traffic::ATTACKS.iter().map(|path| format!("[[route]]\npath = {path:?}\nplugin = \"rogue\"\n"));
    MANIFEST_TEXT.replace("{NUMBER}", &number.to_string()) + &attacks.collect::<String>()
}
