use serde::Serialize;

use super::{BuildArgs, Failed, print, print_json, runtime};
use crate::build::{BuildFailed, Built, build_stale};
use crate::manifest::Manifest;
use crate::shutdown::Signals;

/// What `wharf build --json` prints.
#[derive(Serialize)]
struct Report {
    ok: bool,
    built: Vec<Plugin>,
    failed: Option<Failure>,
}

#[derive(Serialize)]
struct Plugin {
    plugin: String,
    component: String,
    /// False when nothing had to be done.
    ran: bool,
    seconds: Option<f64>,
}

#[derive(Serialize)]
struct Failure {
    plugin: String,
    message: String,
}

/// Builds what is stale.
pub(super) fn run(args: &BuildArgs) -> Result<(), Failed> {
    let manifest = Manifest::read(&args.dir).map_err(|problems| {
        eprint!("{problems}");
        Failed::said()
    })?;
    eprint!("{}", manifest.warnings);
    let built = runtime()?.block_on(async {
        let mut signals = Signals::listen().map_err(Failed::new)?;
        tokio::select! {
            built = build_stale(&manifest) => Ok(built),
            // Dropping the build ends its processes.
            signal = signals.next() => Err(Failed::new(format!("{signal}: the build was ended"))),
        }
    })?;
    if args.json {
        let (ok, built, failed) = match built {
            Ok(built) => (true, built, None),
            Err(BuildFailed { plugin, message }) => (false, Vec::new(), Some(Failure { plugin, message })),
        };
        let built = built.into_iter().map(|built| plugin(&manifest, built)).collect();
        print_json(&Report { ok, built, failed })?;
        return if ok { Ok(()) } else { Err(Failed::said()) };
    }
    let built = built.map_err(Failed::new)?;
    for Built { plugin, .. } in built.iter().filter(|built| built.took.is_none()) {
        print(&format!("ok: {plugin} is up to date\n"))?;
    }
    match built.len() {
        0 => print("nothing to do: no plugin has a `build` command\n"),
        _ => print("ok: every component is built\n"),
    }
}

fn plugin(manifest: &Manifest, built: Built) -> Plugin {
    let component = manifest.plugins.get(&built.plugin).map(|plugin| plugin.component.display().to_string());
    let seconds = built.took.map(|took| took.as_secs_f64());
    Plugin { component: component.unwrap_or_default(), ran: seconds.is_some(), seconds, plugin: built.plugin }
}
