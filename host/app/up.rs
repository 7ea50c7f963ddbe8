//! `wharf up`: from a folder to a serving host, until a signal says to stop.

use std::process::ExitCode;

use wharf_telemetry::Telemetry;

use crate::build::build_stale;
use crate::manifest::Manifest;
use crate::rebuild::{Rebuilder, rebuildable};
use crate::shutdown::Signals;
use crate::sources::Sources;
use crate::wiring::Host;

/// Builds what is stale and serves until SIGTERM or Ctrl-C, then drains. A second signal cuts the drain short.
///
/// With `watch`, sources are watched as well: what is saved is built and swapped in.
///
/// The exit code is 0 also when the drain deadline cut something: the host did what it was told to.
pub(crate) fn run(manifest: Manifest, watch: bool) -> ExitCode {
    let telemetry = match wharf_telemetry::init(&manifest.log) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the threads that serve cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(|error| vec![format!("signals: {error}")])?;
        let (host, rebuilder) = tokio::select! {
            started = start(manifest, watch, &telemetry) => started?,
            // Dropping the start ends a build that runs.
            signal = signals.next() => {
                tracing::info!(signal, "stopped before it served");
                return Ok(());
            }
        };
        println!("listening on http://{}", host.http());
        println!("admin on http://{}", host.admin());
        let signal = signals.next().await;
        if let Some(rebuilder) = rebuilder {
            rebuilder.stop().await;
        }
        tracing::info!(signal, "draining: requests in flight may finish");
        tokio::select! {
            finished = host.drain() => tracing::info!(finished, "stopped"),
            signal = signals.next() => tracing::warn!(signal, "stopped at once"),
        }
        Ok::<(), Vec<String>>(())
    });
    // Blocking work, such as a compilation, is not waited for.
    runtime.shutdown_background();
    telemetry.flush();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            for message in wrong {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn start(
    manifest: Manifest,
    watch: bool,
    telemetry: &Telemetry,
) -> Result<(Host, Option<Rebuilder>), Vec<String>> {
    let one = |message: String| vec![message];
    if !watch {
        build_stale(&manifest).await.map_err(|failed| one(failed.message))?;
        return Ok((Host::start(manifest, telemetry).await?, None));
    }
    let plugins = rebuildable(&manifest).map_err(one)?;
    let mut sources = Sources::watch(&manifest).map_err(one)?;
    let manifest = built(manifest, &mut sources).await?;
    // What the build has changed, such as a lock file, is not a reason for another one.
    sources.forget();
    sources.follow(&manifest);
    let host = Host::start(manifest, telemetry).await?;
    let rebuilder = Rebuilder::start(host.reloader(), sources);
    eprintln!("watching the sources of {plugins}; Ctrl-C stops");
    Ok((host, Some(rebuilder)))
}

/// Builds until it works: whoever watches is about to mend what is wrong.
async fn built(mut manifest: Manifest, sources: &mut Sources) -> Result<Manifest, Vec<String>> {
    loop {
        let Err(failed) = build_stale(&manifest).await else { return Ok(manifest) };
        eprintln!("error: {failed}\nnothing serves yet; the next save builds again, Ctrl-C stops");
        sources.forget_unchanged();
        sources.changed().await;
        match Manifest::read(&manifest.path).map(|new| new.overridden_like(&manifest)) {
            Ok(Ok(new)) => manifest = new,
            Ok(Err(message)) => eprintln!("error: {message}"),
            Err(problems) => eprint!("{problems}"),
        }
    }
}
