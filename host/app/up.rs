//! `wharf up`: from a folder to a serving host, until a signal says to stop.

use std::process::ExitCode;

use crate::manifest::Manifest;
use crate::shutdown::Signals;
use crate::wiring::Host;

/// Serves until SIGTERM or Ctrl-C, then drains. A second signal cuts the drain short.
///
/// The exit code is 0 also when the drain deadline cut something: the host did what it was told to.
pub(crate) fn run(manifest: Manifest) -> ExitCode {
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
        let host = tokio::select! {
            started = Host::start(manifest, &telemetry) => started?,
            signal = signals.next() => {
                tracing::info!(signal, "stopped before it served");
                return Ok(());
            }
        };
        println!("listening on http://{}", host.http());
        println!("admin on http://{}", host.admin());
        let signal = signals.next().await;
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
