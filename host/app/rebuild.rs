//! `wharf up --watch`: what an author saves is built and swapped in while the old version serves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::build::{GUEST_TARGET, build, is_cargo};
use crate::manifest::{Manifest, PluginEntry};
use crate::reload::Reloader;
use crate::sources::{Sources, made_of};

/// Builds on save. Stops when it is dropped, and ends a build that runs.
///
/// One build runs at a time. What is saved meanwhile is built after it, once, however often it was saved.
pub(crate) struct Rebuilder {
    task: JoinHandle<()>,
}

impl Rebuilder {
    /// From now on, what is saved is built.
    pub(crate) fn start(reloader: Arc<Reloader>, sources: Sources) -> Self {
        Rebuilder { task: tokio::spawn(watch(reloader, sources)) }
    }

    /// Stops, and resolves when no build runs any more.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

/// The names of the plugins that can be rebuilt.
///
/// # Errors
/// When there are none, with the line to write.
pub(crate) fn rebuildable(manifest: &Manifest) -> Result<String, String> {
    let plugins: Vec<&str> = with_build(manifest).map(|(name, _)| name.as_str()).collect();
    if plugins.is_empty() {
        return Err(format!(
            "--watch has nothing to do: no plugin in {} has a `build` command. Write, for example:\n  \
             build = \"cargo build --release --target {GUEST_TARGET}\"",
            manifest.path.display()
        ));
    }
    Ok(plugins.join(", "))
}

impl Drop for Rebuilder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(reloader: Arc<Reloader>, mut sources: Sources) {
    loop {
        let changed = sources.changed().await;
        let manifest = reloader.manifest().await;
        if changed.iter().any(|file| is_manifest(file, &manifest)) {
            build_new(&reloader, &manifest).await;
        }
        for name in concerned(&manifest, &changed) {
            if let Some(plugin) = manifest.plugins.get(&name) {
                rebuild(&reloader, &manifest, &name, plugin).await;
            }
        }
        sources.forget_unchanged();
        sources.follow(&reloader.manifest().await);
    }
}

/// By its name: a manifest elsewhere in the project is not a source either.
fn is_manifest(file: &Path, manifest: &Manifest) -> bool {
    file.file_name() == manifest.path.file_name()
}

/// Builds one plugin and swaps to it. What fails is said, and changes nothing.
async fn rebuild(reloader: &Reloader, manifest: &Manifest, name: &str, plugin: &PluginEntry) {
    let before = reloader.status(name);
    let begun = Instant::now();
    let took = match build(name, plugin, &manifest.dir).await {
        Ok(took) => took,
        Err(failed) => {
            let serving = before.map_or_else(String::new, |before| {
                format!("; generation {} goes on serving", before.serving.generation)
            });
            eprintln!("error: {failed}\n{name}: not reloaded after {}{serving}", seconds(begun.elapsed()));
            return;
        }
    };
    let built = Instant::now();
    reloader.component_changed(name).await;
    let Some(after) = reloader.status(name) else { return };
    let generation = after.serving.generation;
    let built_in = seconds(took);
    if before.as_ref().is_none_or(|before| before.serving.generation != generation) {
        eprintln!(
            "{name}: built in {built_in}, generation {generation} serves {} later",
            seconds(built.elapsed())
        );
    } else if let Some(refused) = after.refused {
        eprintln!(
            "{name}: built in {built_in}, but refused at {}; generation {generation} goes on serving",
            refused.refusal
        );
    } else {
        eprintln!(
            "{name}: built in {built_in}, and the component is the same; generation {generation} serves"
        );
    }
}

/// The manifest was saved: what it has and the running one does not is built before it is applied. The
/// manifest itself is read, and everything wrong with it said, by the reloader.
async fn build_new(reloader: &Reloader, running: &Manifest) {
    let path = running.path.clone();
    let Ok(Ok(new)) = tokio::task::spawn_blocking(move || Manifest::read(&path)).await else { return };
    let mut built = false;
    for (name, plugin) in with_build(&new) {
        let known = running.plugins.get(name).is_some_and(|old| old.build == plugin.build);
        if known && plugin.component.is_file() {
            continue;
        }
        match build(name, plugin, &new.dir).await {
            Ok(_) => built = true,
            Err(failed) => eprintln!("error: {failed}"),
        }
    }
    if built {
        reloader.manifest_changed().await;
    }
}

fn with_build(manifest: &Manifest) -> impl Iterator<Item = (&String, &PluginEntry)> {
    manifest.plugins.iter().filter(|(_, plugin)| plugin.build.is_some())
}

/// The plugins that are made of a changed file, by what Cargo wrote when it built them. A file that is on no
/// list, such as a new one or a Cargo.toml, may concern all of them; Cargo finds out.
fn concerned(manifest: &Manifest, changed: &BTreeSet<PathBuf>) -> Vec<String> {
    let lists: Vec<(&String, BTreeSet<PathBuf>)> = with_build(manifest)
        .map(|(name, plugin)| {
            let listed = plugin.build.as_deref().is_some_and(is_cargo);
            let files = if listed { made_of(&plugin.component) } else { Vec::new() };
            (name, files.into_iter().collect())
        })
        .collect();
    let sources: Vec<&PathBuf> = changed.iter().filter(|file| !is_manifest(file, manifest)).collect();
    let listed = |file: &PathBuf| lists.iter().any(|(_, files)| files.contains(file));
    let anybodys = sources.iter().any(|file| !listed(file));
    let concerned = lists.iter().filter(|(_, files)| {
        let unknown = files.is_empty() && !sources.is_empty();
        anybodys || unknown || sources.iter().any(|file| files.contains(*file))
    });
    concerned.map(|(name, _)| (*name).clone()).collect()
}

/// Tenths of seconds, and hundredths where a tenth is long.
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.1 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_plugin_is_built_again_when_something_that_it_is_made_of_has_changed() {
        let dir = std::env::temp_dir().join(format!("wharf-rebuild-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let dir = dir.canonicalize().unwrap();
        let at = |name: &str| dir.join(name);
        for name in ["a", "b"] {
            let list = format!(
                "{}: {}\n",
                at(&format!("{name}.wasm")).display(),
                at(&format!("{name}.rs")).display()
            );
            std::fs::write(at(&format!("{name}.d")), list).unwrap();
        }
        let text = "[app]\nname = \"x\"\n\
            [plugin.a]\ncomponent = \"a.wasm\"\nbuild = \"cargo build -p a\"\n\
            [plugin.b]\ncomponent = \"b.wasm\"\nbuild = \"cargo build -p b\"\n\
            [plugin.made]\ncomponent = \"made.wasm\"\nbuild = \"make\"\n\
            [plugin.given]\ncomponent = \"given.wasm\"\n";
        let manifest = Manifest::parse(text, &at("wharf.toml")).unwrap();
        let names = |files: &[&str]| concerned(&manifest, &files.iter().map(|file| at(file)).collect());
        assert_eq!(names(&["a.rs"]), ["a", "made"], "nobody knows what `make` reads");
        assert_eq!(names(&["a.rs", "b.rs"]), ["a", "b", "made"]);
        assert_eq!(names(&["new.rs"]), ["a", "b", "made"]);
        assert_eq!(names(&["wharf.toml"]), Vec::<String>::new());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn times_are_short() {
        assert_eq!(
            [34, 120, 1_840].map(|ms| seconds(Duration::from_millis(ms))),
            ["0.03 s", "0.1 s", "1.8 s"]
        );
    }
}
