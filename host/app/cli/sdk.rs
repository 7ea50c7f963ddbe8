use serde::Serialize;

use super::{Failed, SdkArgs, print, print_json};
use crate::sdk::{FOLDER, Installed, VERSION, installed, update};

/// What `wharf sdk --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    folder: String,
    /// The version that this binary carries.
    carried: &'a str,
    #[serde(flatten)]
    installed: Installed,
    updated: bool,
}

/// Says which SDK a project has.
pub(super) fn show(args: &SdkArgs) -> Result<(), Failed> {
    report(args, found(args)?, false)
}

/// Puts the SDK of this binary in its place.
pub(super) fn refresh(args: &SdkArgs, force: bool) -> Result<(), Failed> {
    let before = found(args)?;
    let folder = args.dir.join(FOLDER);
    let folder = folder.display();
    match before {
        Installed::Absent if !args.dir.join("Cargo.toml").is_file() => {
            return Err(Failed::new(format!(
                "{} has neither a Cargo.toml nor a copy of the SDK: is this the folder of a plugin?",
                args.dir.display()
            )));
        }
        Installed::Edited { version } if !force => {
            return Err(Failed::new(format!(
                "{folder} was changed since wharf {version} wrote it, and the changes would be lost. \
                 Move them elsewhere, or replace it all the same: wharf sdk update --force"
            )));
        }
        Installed::Current => return report(args, before, false),
        _ => {}
    }
    update(&args.dir).map_err(|error| Failed::new(format!("cannot write {folder}: {error}")))?;
    report(args, Installed::Current, true)
}

fn found(args: &SdkArgs) -> Result<Installed, Failed> {
    let folder = args.dir.join(FOLDER);
    installed(&args.dir).map_err(|error| Failed::new(format!("cannot read {}: {error}", folder.display())))
}

fn report(args: &SdkArgs, installed: Installed, updated: bool) -> Result<(), Failed> {
    let folder = args.dir.join(FOLDER).display().to_string();
    if args.json {
        return print_json(&Report { folder, carried: VERSION, installed, updated });
    }
    let said = match installed {
        Installed::Current if updated => format!("{folder} is the SDK of wharf {VERSION} now\n"),
        Installed::Current => format!("{folder} is the SDK of this wharf, {VERSION}\n"),
        Installed::Absent => format!("there is no {folder}. To have one: wharf sdk update\n"),
        Installed::Other { version } => {
            format!(
                "{folder} is another SDK, {version}; this wharf carries {VERSION}. To take it: wharf sdk update\n"
            )
        }
        Installed::Edited { version } => format!("{folder} was {version}, and was changed since\n"),
    };
    print(&said)
}
