//! Notices what an author saves: every file below the manifest's folder that is a source, and the sources
//! elsewhere that Cargo has listed for a component.
//!
//! Folders are watched one by one rather than recursively, so that what a build writes is never looked at.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::build::{NOT_SOURCES, beside, is_cargo};
use crate::manifest::Manifest;

/// How long nothing must have been saved before a build begins: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(50);
/// A build begins after this long all the same.
const SETTLE_MAX: Duration = Duration::from_millis(500);

/// The system lets a user watch some ten thousand folders; no project of plugins has as many.
const FOLDERS_MAX: usize = 4_096;

/// Files with more bytes are not looked into to see whether they have changed.
const HASHED_BYTES_MAX: u64 = 4 << 20;

/// What Cargo, and others, put into a folder that holds results: <https://bford.info/cachedir/>.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// The sources of an application, watched until this is dropped.
pub(crate) struct Sources {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    /// The folder of the manifest.
    root: PathBuf,
    /// Results and stores inside of it.
    ignored: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// What has changed and nobody has been told.
    changed: BTreeSet<PathBuf>,
    /// What a file held when it was last noticed.
    contents: HashMap<PathBuf, u64>,
}

impl Sources {
    /// Watches the sources of `manifest`.
    ///
    /// # Errors
    /// When the system does not let its folder be watched, with what to do.
    pub(crate) fn watch(manifest: &Manifest) -> Result<Self, String> {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event| {
            // The receiver is gone only when nobody is interested any more.
            let _ = sender.send(event);
        });
        let watcher = watcher.map_err(|error| cannot(&manifest.dir, &error))?;
        // Events name files below the path that was given, so it is made one that Cargo would write, too.
        let root = manifest.dir.canonicalize().map_err(|error| cannot(&manifest.dir, &error.into()))?;
        let mut sources = Sources {
            watcher,
            events,
            root,
            ignored: BTreeSet::new(),
            folders: BTreeSet::new(),
            changed: BTreeSet::new(),
            contents: HashMap::new(),
        };
        let root = sources.root.clone();
        sources.watcher.watch(&root, RecursiveMode::NonRecursive).map_err(|error| cannot(&root, &error))?;
        sources.follow(manifest);
        sources.add(&root, false);
        Ok(sources)
    }

    /// Watches what the components of `manifest` were made of according to Cargo, and passes over what its
    /// plugins and its host write.
    pub(crate) fn follow(&mut self, manifest: &Manifest) {
        let components = manifest.plugins.values().map(|plugin| &plugin.component);
        let results = components
            .flat_map(|component| [component.clone(), component.with_extension("d"), beside(component)]);
        let stores = [manifest.app.data.clone(), manifest.engine.cache_dir.clone()];
        let grants = manifest.plugins.values().flat_map(|plugin| &plugin.config.grants.dirs.dirs);
        let written = grants.filter(|grant| grant.write).map(|grant| grant.path.clone());
        // Output that is kept in the folder, `wharf up --watch > up.log`: every build writes there.
        let output =
            ["/proc/self/fd/1", "/proc/self/fd/2"].into_iter().filter_map(|fd| std::fs::read_link(fd).ok());
        let ignored = results.chain(stores).chain(written).chain(output);
        self.ignored = ignored.map(|path| absolute(&path)).collect();
        let listed = manifest.plugins.values().filter(|plugin| plugin.build.as_deref().is_some_and(is_cargo));
        let elsewhere: BTreeSet<PathBuf> = listed
            .flat_map(|plugin| made_of(&plugin.component))
            .filter_map(|file| Some(file.parent()?.to_owned()))
            .filter(|folder| !folder.starts_with(&self.root))
            .collect();
        for folder in elsewhere {
            self.watch_folder(&folder);
        }
    }

    /// Waits until something has been saved, and for the moment of quiet after it. Gives the files; a folder
    /// stands for anything in it. When this is dropped before its end, nothing is lost.
    pub(crate) async fn changed(&mut self) -> BTreeSet<PathBuf> {
        while self.changed.is_empty() {
            match self.events.recv().await {
                Some(event) => self.note(event),
                // The watcher, which has the other end, lives as long as this.
                None => std::future::pending().await,
            }
        }
        let at_most = Instant::now() + SETTLE_MAX;
        while let Ok(Some(event)) = timeout_at(at_most.min(Instant::now() + SETTLE), self.events.recv()).await
        {
            self.note(event);
        }
        let changed = std::mem::take(&mut self.changed);
        for file in &changed {
            self.remember(file);
        }
        changed
    }

    /// Forgets everything that has been saved so far.
    pub(crate) fn forget(&mut self) {
        self.drain();
        for file in std::mem::take(&mut self.changed) {
            self.remember(&file);
        }
    }

    /// Forgets files that hold what they held when they were last noticed: a build that writes among the
    /// sources would be a reason for the next build, for ever.
    pub(crate) fn forget_unchanged(&mut self) {
        self.drain();
        let contents = &self.contents;
        self.changed.retain(|file| {
            let lock = file.file_name() == Some(OsStr::new("Cargo.lock"));
            !lock && content(file).is_none_or(|now| contents.get(file) != Some(&now))
        });
    }

    fn drain(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
        }
    }

    fn remember(&mut self, file: &Path) {
        match content(file) {
            Some(content) => self.contents.insert(file.to_owned(), content),
            None => self.contents.remove(file),
        };
    }

    fn note(&mut self, event: notify::Result<Event>) {
        let Ok(event) = event else {
            // The kernel's queue has overflowed, or a folder went away: look at everything again.
            let root = self.root.clone();
            self.folders.clear();
            self.add(&root, false);
            self.changed.insert(root);
            return;
        };
        let saved = match event.kind {
            EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => true,
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            EventKind::Access(_) | EventKind::Any | EventKind::Other => false,
        };
        if !saved {
            return;
        }
        let appeared = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)));
        for path in event.paths {
            if !self.is_source(&path) {
                continue;
            }
            if !path.is_dir() {
                self.changed.insert(path);
            } else if appeared {
                // One of that name may have been here before; its watch went with it. A folder is not a
                // source itself, but what it holds may have come with it.
                self.folders.retain(|folder| !folder.starts_with(&path));
                self.add(&path, true);
            }
        }
    }

    /// Watches a folder of the project and those in it. What they hold counts as saved when they are `new`.
    fn add(&mut self, folder: &Path, new: bool) {
        if folder != self.root && folder.join(CACHE_TAG).exists() {
            return;
        }
        let mut left = vec![folder.to_owned()];
        while let Some(folder) = left.pop() {
            if !self.watch_folder(&folder) {
                continue;
            }
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
                if !self.is_source(&path) {
                    continue;
                }
                if kind.is_dir() {
                    if !path.join(CACHE_TAG).exists() {
                        left.push(path);
                    }
                } else if new {
                    self.changed.insert(path);
                }
            }
        }
    }

    /// False when it is watched already, or cannot be.
    fn watch_folder(&mut self, folder: &Path) -> bool {
        if self.folders.len() >= FOLDERS_MAX || self.folders.contains(folder) {
            return false;
        }
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => self.folders.insert(folder.to_owned()),
            Err(error) => {
                eprintln!("warning: {}", cannot(folder, &error));
                false
            }
        }
    }

    /// Whether a path is one that a build may depend on.
    fn is_source(&self, path: &Path) -> bool {
        if self.ignored.iter().any(|ignored| path.starts_with(ignored)) {
            return false;
        }
        let inside = path.strip_prefix(&self.root).unwrap_or(path.file_name().map_or(path, Path::new));
        inside.iter().all(|part| part.to_str().is_none_or(is_source_name))
    }
}

/// Whether files of this name, and what is in folders of this name, may be sources: not what is hidden, what a
/// build has made, or what an editor keeps while a file is open.
fn is_source_name(name: &str) -> bool {
    let hidden = name.starts_with('.') && name != ".cargo";
    let vim_probe = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let emacs = name.starts_with('#') && name.ends_with('#');
    let kept = ["~", ".swp", ".swx", ".tmp", ".bak", ".orig", "___jb_tmp___", "___jb_old___"];
    !(hidden
        || vim_probe
        || emacs
        || NOT_SOURCES.contains(&name)
        || kept.iter().any(|end| name.ends_with(end)))
}

/// The files that Cargo says a component was made of: it writes them, as a Makefile would have them, beside the
/// component. None where there is no such list.
pub(crate) fn made_of(component: &Path) -> Vec<PathBuf> {
    let Ok(text) = std::fs::read_to_string(component.with_extension("d")) else { return Vec::new() };
    let Some((_, files)) = text.lines().next().and_then(|line| line.split_once(".wasm: ")) else {
        return Vec::new();
    };
    // A space within a name is escaped.
    let files = files.replace("\\ ", "\0");
    files.split_ascii_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect()
}

/// The path as events name it, if it exists.
fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// A fingerprint of what a file holds; none when it is not a file, is too long or cannot be read.
fn content(file: &Path) -> Option<u64> {
    let metadata = std::fs::metadata(file).ok()?;
    if !metadata.is_file() || metadata.len() > HASHED_BYTES_MAX {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    std::fs::read(file).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

fn cannot(folder: &Path, error: &notify::Error) -> String {
    let fix = match error.kind {
        notify::ErrorKind::MaxFilesWatch => "; allow more: sysctl fs.inotify.max_user_watches=65536",
        _ => "",
    };
    format!("changes in {} cannot be watched: {error}{fix}", folder.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::fs;

    use super::*;

    struct Project(PathBuf);

    impl Project {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("wharf-sources-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(dir.join("src")).unwrap();
            fs::create_dir_all(dir.join("target/release")).unwrap();
            let dir = dir.canonicalize().unwrap();
            fs::write(dir.join("src/lib.rs"), "one").unwrap();
            Project(dir)
        }

        fn watch(&self) -> Sources {
            let text = "[app]\nname = \"a\"\n[plugin.p]\ncomponent = \"p.wasm\"\nbuild = \"cargo build\"\n";
            Sources::watch(&Manifest::parse(text, &self.0.join("wharf.toml")).unwrap()).unwrap()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }
    }

    impl Drop for Project {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn only(project: &Project, name: &str) -> BTreeSet<PathBuf> {
        BTreeSet::from([project.path(name)])
    }

    #[tokio::test]
    async fn what_is_saved_is_noticed_and_what_a_build_or_an_editor_writes_is_not() {
        let project = Project::new("saved");
        let mut sources = project.watch();
        for noise in
            ["target/release/x.d", "p.wasm", "src/.lib.rs.swp", "src/lib.rs~", "src/4913", "src/#lib.rs#"]
        {
            project.write(noise, "noise");
        }
        project.write("src/lib.rs", "two");
        // Events come in order: the noise would be there, too.
        assert_eq!(sources.changed().await, only(&project, "src/lib.rs"));

        // As careful editors save: another name first.
        project.write("src/.lib.rs.new", "three");
        fs::rename(project.path("src/.lib.rs.new"), project.path("src/lib.rs")).unwrap();
        assert_eq!(sources.changed().await, only(&project, "src/lib.rs"));

        fs::remove_file(project.path("src/lib.rs")).unwrap();
        assert_eq!(sources.changed().await, only(&project, "src/lib.rs"));
    }

    #[tokio::test]
    async fn new_folders_are_watched_unless_they_hold_results() {
        let project = Project::new("folders");
        let mut sources = project.watch();
        fs::create_dir_all(project.path("src/deep/er")).unwrap();
        project.write("src/deep/er/mod.rs", "new");
        assert_eq!(sources.changed().await, only(&project, "src/deep/er/mod.rs"));
        project.write("src/deep/er/mod.rs", "newer");
        assert_eq!(sources.changed().await, only(&project, "src/deep/er/mod.rs"));

        // Another target directory, which appears with its tag in it.
        fs::create_dir_all(project.path(".out")).unwrap();
        project.write(".out/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55");
        project.write(".out/x", "x");
        fs::rename(project.path(".out"), project.path("out")).unwrap();
        project.write("out/y", "y");
        project.write("src/lib.rs", "two");
        assert_eq!(sources.changed().await, only(&project, "src/lib.rs"));
    }

    #[tokio::test]
    async fn a_file_that_a_build_writes_as_it_was_is_not_a_reason_to_build() {
        let project = Project::new("unchanged");
        let mut sources = project.watch();
        project.write("src/made.rs", "made");
        assert_eq!(sources.changed().await, only(&project, "src/made.rs"));
        project.write("src/made.rs", "made");
        project.write("src/lib.rs", "saved meanwhile");
        project.write("last", "the events before this one have been seen with it");
        while !sources.changed.contains(&project.path("last")) {
            let event = sources.events.recv().await.unwrap();
            sources.note(event);
        }
        sources.forget_unchanged();
        assert_eq!(
            sources.changed().await,
            BTreeSet::from([project.path("last"), project.path("src/lib.rs")])
        );
    }

    #[test]
    fn the_list_that_cargo_writes_is_read() {
        let project = Project::new("list");
        project.write("target/release/p.d", "/a b/p.wasm: /src/lib.rs /with\\ space/x.rs\n\n/src/lib.rs:\n");
        let files = made_of(&project.path("target/release/p.wasm"));
        assert_eq!(files, ["/src/lib.rs", "/with space/x.rs"].map(PathBuf::from));
        assert_eq!(made_of(&project.path("target/none.wasm")), Vec::<PathBuf>::new());
    }
}
