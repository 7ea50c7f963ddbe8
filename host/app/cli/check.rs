use serde::Serialize;
use wharf_call::ports::Refusal;

use super::{CheckArgs, Failed, print, print_json};
use crate::check::{ComponentReport, components, routes};
use crate::manifest::{Diagnostics, Manifest};

/// What `wharf check --json` prints.
#[derive(Serialize)]
struct Report {
    ok: bool,
    problems: Diagnostics,
    components: Vec<Component>,
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
    let (problems, components) = match Manifest::read(&args.dir) {
        Ok(manifest) => {
            let components = components(&manifest);
            (problems(&manifest, &components), components.into_iter().map(component).collect())
        }
        Err(problems) => (problems, Vec::new()),
    };
    let errors = problems.errors();
    if args.json {
        print_json(&Report { ok: errors == 0, problems, components })?;
        return if errors == 0 { Ok(()) } else { Err(Failed::said()) };
    }
    eprint!("{problems}");
    for Component { plugin, world, .. } in components.iter().filter(|component| component.refused.is_none()) {
        print(&format!("ok: plugin {plugin} is a {}\n", world.as_deref().unwrap_or("component")))?;
    }
    match errors {
        0 => print("ok: the manifest and its components can be used\n"),
        1 => Err(Failed::new("1 problem; the application would not start")),
        _ => Err(Failed::new(format!("{errors} problems; the application would not start"))),
    }
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
