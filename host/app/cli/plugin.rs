use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use wharf_call::ports::{PluginStatus, RefusedLoad};

use super::client::Client;
use super::{Failed, HostArgs, human_size, inspect, print, print_json};

/// Shows what serves.
pub(super) fn list(host: &HostArgs) -> Result<(), Failed> {
    let answer = Client::find(host)?.send(Method::GET, "/plugins", Bytes::new())?;
    if host.json {
        return print_json(&answer);
    }
    let plugins: Vec<PluginStatus> = read(answer["plugins"].clone())?;
    print(&table(&plugins))?;
    let refused: Option<RefusedLoad> = read(answer["manifest_refused"].clone())?;
    match refused {
        Some(RefusedLoad { source, refusal, .. }) => {
            print(&format!("\n{source} was not applied\n{}\n", refusal.message))
        }
        None => Ok(()),
    }
}

/// Loads a component into the running host.
pub(super) fn load(host: &HostArgs, name: &str, file: &Path) -> Result<(), Failed> {
    let component = inspect::read(file)?;
    let answer = Client::find(host)?.send(Method::PUT, &path(name, ""), component.into())?;
    changed(host, &answer, "loaded")
}

/// Swaps back.
pub(super) fn rollback(host: &HostArgs, name: &str) -> Result<(), Failed> {
    let answer = Client::find(host)?.send(Method::POST, &path(name, "/rollback"), Bytes::new())?;
    changed(host, &answer, "rolled back")
}

fn changed(host: &HostArgs, answer: &Value, what: &str) -> Result<(), Failed> {
    if host.json {
        return print_json(answer);
    }
    let PluginStatus { name, serving, .. } = read(answer.clone())?;
    let (generation, digest) = (serving.generation, short(&serving.sha256));
    print(&format!("{what}: plugin {name} serves generation {generation} ({digest})\n"))
}

fn read<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Failed> {
    serde_json::from_value(answer).map_err(|error| {
        Failed::new(format!("the host's answer is not understood ({error}); is it another version?"))
    })
}

/// The path of a plugin. A name that is none of ours must not become another path.
pub(super) fn path(name: &str, rest: &str) -> String {
    let mut path = "/plugins/".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => path.push(char::from(byte)),
            byte => drop(write!(path, "%{byte:02X}")),
        }
    }
    path + rest
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn table(plugins: &[PluginStatus]) -> String {
    if plugins.is_empty() {
        return "no plugins: add a [plugin.NAME] section to wharf.toml\n".into();
    }
    let head = ["PLUGIN", "GENERATION", "WORLD", "SHA256", "SIZE", "INSTANCES", "IN FLIGHT", "SOURCE"];
    let mut rows = vec![head.map(str::to_owned)];
    for plugin in plugins {
        let serving = &plugin.serving;
        let draining = if plugin.draining.is_empty() {
            String::new()
        } else {
            format!(" (+{} draining)", plugin.draining.len())
        };
        rows.push([
            plugin.name.clone(),
            format!("{}{draining}", serving.generation),
            serving.world.clone(),
            short(&serving.sha256).to_owned(),
            human_size(serving.bytes),
            serving.instances.to_string(),
            serving.in_flight.to_string(),
            serving.source.clone(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for (row, plugin) in rows.iter().zip(std::iter::once(None).chain(plugins.iter().map(Some))) {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        if let Some(degraded) = plugin.and_then(|plugin| plugin.serving.degraded.as_ref()) {
            let _ = writeln!(out, "  degraded: {degraded}");
        }
        if let Some(refused) = plugin.and_then(|plugin| plugin.refused.as_ref()) {
            let _ = writeln!(out, "  refused {}: {}", refused.source, refused.refusal);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use wharf_call::ports::{GenerationStatus, Refusal, Stage};

    use super::*;

    #[test]
    fn a_list_shows_what_serves_and_what_was_refused() {
        let plugin = PluginStatus {
            name: "notes".into(),
            serving: GenerationStatus {
                generation: 3,
                world: "wharf:plugin/handler@0.1.0".into(),
                sha256: "ab".repeat(32),
                bytes: 2048,
                source: "notes.wasm".into(),
                loaded_at_s: 1,
                instances: 2,
                in_flight: 1,
                degraded: Some("it crashed 20 times in a row".into()),
            },
            previous: None,
            draining: vec![2],
            refused: Some(RefusedLoad {
                at_s: 1,
                source: "admin API".into(),
                refusal: Refusal::new(Stage::Health, "no database"),
            }),
        };
        let expected = "\
PLUGIN  GENERATION       WORLD                       SHA256        SIZE     INSTANCES  IN FLIGHT  SOURCE
notes   3 (+1 draining)  wharf:plugin/handler@0.1.0  abababababab  2.0 KiB  2          1          notes.wasm
  degraded: it crashed 20 times in a row
  refused admin API: health: no database
";
        assert_eq!(table(&[plugin]), expected);
    }

    #[test]
    fn a_name_cannot_become_another_path() {
        assert_eq!(path("notes", "/rollback"), "/plugins/notes/rollback");
        assert_eq!(path("../x y", ""), "/plugins/%2E%2E%2Fx%20y");
    }
}
