use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use wharf_call::Schema;
use wharf_call::ports::Refusal;
use wharf_doors::compat::breaking_changes;
use wharf_engine::inspect;

use super::{CheckArgs, Failed, print, print_json};
use crate::check::{ComponentReport, components, routes};
use crate::manifest::{Diagnostics, Manifest};

/// What `wharf check --json` prints.
#[derive(Serialize)]
struct Report {
    ok: bool,
    problems: Diagnostics,
    components: Vec<Component>,
    /// What would break a client of `--against`.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaking: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Component {
    plugin: String,
    component: String,
    world: Option<String>,
    sha256: Option<String>,
    refused: Option<Refusal>,
}

/// Checks the manifest and then, if it can be used, its routes and each component of it.
pub(super) fn run(args: &CheckArgs) -> Result<(), Failed> {
    let mut breaking = None;
    let (problems, components) = match Manifest::read(&args.dir) {
        Ok(manifest) => {
            let components = components(&manifest);
            breaking = args.against.as_deref().map(|old| against(old, &components)).transpose()?;
            (problems(&manifest, &components), components.into_iter().map(component).collect())
        }
        Err(problems) => (problems, Vec::new()),
    };
    let errors = problems.errors();
    let breaks = breaking.as_ref().map_or(0, Vec::len);
    if args.json {
        print_json(&Report { ok: errors + breaks == 0, problems, components, breaking })?;
        return if errors + breaks == 0 { Ok(()) } else { Err(Failed::said()) };
    }
    eprint!("{problems}");
    for Component { plugin, world, .. } in components.iter().filter(|component| component.refused.is_none()) {
        print(&format!("ok: plugin {plugin} is a {}\n", world.as_deref().unwrap_or("component")))?;
    }
    for change in breaking.iter().flatten() {
        eprintln!("breaking: {change}");
    }
    match errors {
        0 if breaks > 0 => Err(Failed::new(format!(
            "clients of {} would break. Add to an interface rather than change it, or serve the change as a new major version beside the old one",
            args.against.as_deref().unwrap_or(&args.dir).display()
        ))),
        0 => print("ok: the manifest and its components can be used\n"),
        1 => Err(Failed::new("1 problem; the application would not start")),
        _ => Err(Failed::new(format!("{errors} problems; the application would not start"))),
    }
}

/// What would break clients of the application in `old`, or of a component there, in the order of its plugins.
fn against(old: &Path, components: &[ComponentReport]) -> Result<Vec<String>, Failed> {
    let found = |report: &ComponentReport| report.found.as_ref().ok().map(|found| found.schema.clone());
    let unreadable = |error: String| Failed::new(format!("--against {}: {error}", old.display()));
    let earlier: Vec<(String, Arc<Schema>)> =
        if old.is_file() && old.extension().is_some_and(|is| is == "wasm") {
            let bytes = std::fs::read(old).map_err(|error| unreadable(error.to_string()))?;
            let inspection = inspect(&bytes).map_err(|refusal| unreadable(refusal.message))?;
            // A file has no plugin's name: it is what shares an interface with it.
            let same = |report: &&ComponentReport| {
                found(report).is_some_and(|schema| {
                    schema.interfaces.iter().any(|new| {
                        inspection
                            .schema
                            .interfaces
                            .iter()
                            .any(|old| old.name == new.name && old.package.name == new.package.name)
                    })
                })
            };
            let name = components.iter().find(same).map(|report| report.plugin.clone());
            let name = name.ok_or_else(|| unreadable("no plugin here has an interface of it".to_owned()))?;
            vec![(name, inspection.schema)]
        } else {
            let manifest = Manifest::read(old).map_err(|problems| unreadable(format!("\n{problems}")))?;
            let reports = crate::check::components(&manifest);
            let schema = |report: ComponentReport| match report.found {
                Ok(found) => Ok((report.plugin, found.schema)),
                Err(refusal) => Err(unreadable(format!("plugin {:?}: {}", report.plugin, refusal.message))),
            };
            reports.into_iter().map(schema).collect::<Result<_, _>>()?
        };
    let mut breaking = Vec::new();
    for (name, old) in earlier.iter().filter(|(_, old)| !old.is_empty()) {
        let new = components.iter().find(|report| report.plugin == *name);
        let none = Arc::default();
        // One that does not load has its problem already.
        let new = match new.map(found) {
            Some(None) => continue,
            Some(Some(new)) => new,
            None => none,
        };
        breaking
            .extend(breaking_changes(old, &new).into_iter().map(|change| format!("plugin {name}: {change}")));
    }
    Ok(breaking)
}

/// Warnings of the manifest, routes that are ambiguous, and components that would not load.
fn problems(manifest: &Manifest, components: &[ComponentReport]) -> Diagnostics {
    let mut problems = manifest.warnings.clone();
    let handles = |name: &str| {
        let report = components.iter().find(|report| report.plugin == name);
        report.and_then(|report| report.found.as_ref().ok()).is_some_and(|found| !found.schema.is_empty())
    };
    problems.extend(manifest.idle_plugins(handles));
    problems.extend(routes(manifest, components).err().into_iter().flatten());
    problems.extend(components.iter().filter_map(|report| {
        let refusal = report.found.as_ref().err()?;
        Some(manifest.plugin_diagnostic(&report.plugin, &refusal.message))
    }));
    problems
}

fn component(report: ComponentReport) -> Component {
    let (world, sha256, refused) = match report.found {
        Ok(inspection) => (inspection.world, Some(inspection.sha256), None),
        Err(refusal) => (None, None, Some(refusal)),
    };
    let component = report.component.display().to_string();
    Component { plugin: report.plugin, component, world, sha256, refused }
}
