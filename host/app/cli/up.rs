use wharf_telemetry::LogFormat;

use super::build::build_stale;
use super::{Failed, UpArgs};
use crate::manifest::{Manifest, Overrides};

/// What `wharf up` has to do before a host can start: read the manifest, and build what is stale.
pub(super) fn manifest(args: &UpArgs) -> Result<Manifest, Failed> {
    let mut manifest = Manifest::read(&args.dir).map_err(|problems| {
        eprint!("{problems}");
        Failed::said()
    })?;
    let log_format = args.log.as_deref().and_then(LogFormat::from_name);
    manifest.set(Overrides { http: args.http, admin: args.admin, log_format }).map_err(Failed::new)?;
    eprint!("{}", manifest.warnings);
    build_stale(&manifest)?;
    Ok(manifest)
}
