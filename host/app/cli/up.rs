use wharf_telemetry::LogFormat;

use super::{Failed, UpArgs};
use crate::manifest::{Manifest, Overrides};

/// What `wharf up` has to do before a host can start: read the manifest.
pub(super) fn manifest(args: &UpArgs) -> Result<Manifest, Failed> {
    let mut manifest = Manifest::read(&args.dir).map_err(|problems| {
        eprint!("{problems}");
        Failed::said()
    })?;
    let log_format = args.log.as_deref().and_then(LogFormat::from_name);
    let data = args.data.clone();
    manifest.set(Overrides { http: args.http, admin: args.admin, data, log_format }).map_err(Failed::new)?;
    eprint!("{}", manifest.warnings);
    Ok(manifest)
}
