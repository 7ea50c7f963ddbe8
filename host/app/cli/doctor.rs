mod machine;
mod project;
mod toolchain;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::{DoctorArgs, Failed, print, print_json, runtime};
use crate::manifest::{FILE_NAME, Manifest};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    /// What.
    name: &'static str,
    status: Status,
    /// What was found.
    found: String,
    /// The command that mends it, or the line to write.
    mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// As it should be.
    Ok,
    /// It works, but not as well as it could, or not for long.
    Warn,
    /// It does not work.
    Fail,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Check { name, status: Status::Ok, found: found.into(), mend: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Check { name, status: Status::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Check { name, status: Status::Fail, found: found.into(), mend: Some(mend.into()) }
    }
}

/// What `wharf doctor --json` prints.
#[derive(Serialize)]
struct Report {
    ok: bool,
    version: &'static str,
    checks: Vec<Check>,
}

/// The application that is looked at: the one of a manifest, or what a manifest would start from.
struct Application {
    dir: PathBuf,
    manifest: Manifest,
    /// Whether there is a manifest: without one, nothing needs a Rust toolchain yet.
    written: bool,
}

/// Looks at everything.
pub(super) fn run(args: &DoctorArgs) -> Result<(), Failed> {
    let (application, manifest) = application(args)?;
    let mut checks = vec![manifest];
    checks.extend(runtime()?.block_on(toolchain::checks(&application)));
    checks.extend(project::checks(&application));
    checks.extend(machine::checks(&application.manifest));

    let failures = checks.iter().filter(|check| check.status == Status::Fail).count();
    if args.json {
        print_json(&Report { ok: failures == 0, version: env!("CARGO_PKG_VERSION"), checks })?;
        return if failures == 0 { Ok(()) } else { Err(Failed::said()) };
    }
    print(&table(&checks))?;
    match failures {
        0 => Ok(()),
        1 => Err(Failed::new("1 thing does not work; the line below it says what mends it")),
        _ => {
            Err(Failed::new(format!("{failures} things do not work; the line below each says what mends it")))
        }
    }
}

fn application(args: &DoctorArgs) -> Result<(Application, Check), Failed> {
    const NAME: &str = "manifest";
    let path = if args.dir.is_dir() { args.dir.join(FILE_NAME) } else { args.dir.clone() };
    let dir = path.parent().map_or_else(PathBuf::new, ToOwned::to_owned);
    // Shorter in messages.
    let path = path.strip_prefix(".").map(ToOwned::to_owned).unwrap_or(path);
    let shown = path.display();
    let (manifest, check) = if !path.exists() {
        (None, Check::ok(NAME, format!("there is no {shown}: the defaults are looked at")))
    } else {
        match Manifest::read(&path) {
            Ok(manifest) => (Some(manifest), Check::ok(NAME, format!("{shown} can be used"))),
            Err(problems) => {
                let found = match problems.errors() {
                    1 => format!("{shown} has an error: the defaults are looked at"),
                    errors => format!("{shown} has {errors} errors: the defaults are looked at"),
                };
                (None, Check::fail(NAME, found, format!("wharf check {}", args.dir.display())))
            }
        }
    };
    let written = manifest.is_some();
    let manifest = match manifest {
        Some(manifest) => manifest,
        None => Manifest::parse("[app]\nname = \"defaults\"\n", &path)
            .map_err(|problems| Failed::new(format!("the defaults are not a manifest: {problems}")))?,
    };
    Ok((Application { dir, manifest, written }, check))
}

fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Check { name, status, found, mend } in checks {
        let status = match status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        let _ = writeln!(out, "{status:4}  {name:width$}  {found}");
        if let Some(mend) = mend {
            for (index, line) in mend.lines().enumerate() {
                let arrow = if index == 0 { "->" } else { "  " };
                let _ = writeln!(out, "{:4}  {:width$}  {arrow} {line}", "", "");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_what_is_wrong_and_what_mends_it() {
        let checks = [
            Check::ok("rustc", "1.95.0"),
            Check::warn("swap", "on", "sudo swapoff -a"),
            Check::fail("target", "missing", "rustup target add wasm32-wasip2"),
        ];
        let expected = "\
ok    rustc   1.95.0
warn  swap    on
              -> sudo swapoff -a
fail  target  missing
              -> rustup target add wasm32-wasip2
";
        assert_eq!(table(&checks), expected);
    }
}
