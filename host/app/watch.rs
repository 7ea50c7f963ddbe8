//! Notices changes of the manifest and of component files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::reload::Reloader;

/// How long a file must have been left alone before it is read.
const SETTLE: Duration = Duration::from_millis(100);
/// How often to look for directories that were not there, or were replaced.
const RESCAN: Duration = Duration::from_secs(1);

/// Watches the files of a host and tells its [`Reloader`]. Stops when it is dropped.
///
/// Directories are watched, not files: an editor or a compiler replaces a file rather than write into it.
/// A file that is being written is not looked at before its writer has closed it; one that appears complete,
/// by a rename or as a link, is looked at once it has been left alone for a moment.
pub(crate) struct Watcher {
    task: JoinHandle<()>,
}

impl Watcher {
    pub(crate) fn start(reloader: Arc<Reloader>) -> Self {
        Watcher { task: tokio::spawn(watch(reloader)) }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(reloader: Arc<Reloader>) {
    let (events, mut changes) = mpsc::unbounded_channel();
    let mut watcher = match notify::recommended_watcher(move |event: notify::Result<Event>| {
        // The receiver is gone only when the host is.
        let _ = events.send(event);
    }) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::error!("files are not watched, use `wharf plugin load` instead: {error}");
            return;
        }
    };
    let mut directories = Directories::default();
    let mut files = Files::default();
    let mut rescan = interval(RESCAN);
    rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rescan.tick() => {
                let (manifest, components) = watched(&reloader).await;
                let wanted = std::iter::once(&manifest).chain(components.iter().map(|(_, path)| path));
                for file in directories.follow(&mut watcher, wanted) {
                    files.changed(file);
                }
            }
            Some(event) = changes.recv() => match event {
                Ok(event) => files.note(&event),
                // The kernel's queue overflowed, or a directory went away: look at everything again.
                Err(_) => directories.forget(),
            },
            () = files.next_due() => {
                let (manifest, components) = watched(&reloader).await;
                for file in files.take_due() {
                    if file == manifest {
                        reloader.manifest_changed().await;
                    }
                    for (name, _) in components.iter().filter(|(_, path)| *path == file) {
                        reloader.component_changed(name).await;
                    }
                }
            }
        }
    }
}

/// The manifest and the components, by paths as events have them: `wharf up` in a folder names it by `.`.
async fn watched(reloader: &Reloader) -> (PathBuf, Vec<(String, PathBuf)>) {
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let (manifest, components) = reloader.watched().await;
    let components = components.into_iter().map(|(name, component)| (name, absolute(component)));
    (absolute(manifest), components.collect())
}

/// The directories that are being watched.
#[derive(Default)]
struct Directories {
    watched: BTreeMap<PathBuf, u64>,
}

impl Directories {
    /// Watches the parent of each wanted file, and those only. Returns the files in directories that were not
    /// watched before: what happened there meanwhile was not seen.
    fn follow<'a>(
        &mut self,
        watcher: &mut RecommendedWatcher,
        wanted: impl Iterator<Item = &'a PathBuf>,
    ) -> Vec<PathBuf> {
        let mut unseen = Vec::new();
        let mut parents = BTreeSet::new();
        let mut fresh = BTreeSet::new();
        for file in wanted {
            let parent = file.parent().unwrap_or(Path::new("/")).to_owned();
            let Some(inode) = inode(&parent) else { continue };
            if self.watched.get(&parent) != Some(&inode) {
                let _ = watcher.unwatch(&parent);
                match watcher.watch(&parent, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.watched.insert(parent.clone(), inode);
                        fresh.insert(parent.clone());
                    }
                    Err(error) => tracing::warn!("{} cannot be watched: {error}", parent.display()),
                }
            }
            if fresh.contains(&parent) {
                unseen.push(file.clone());
            }
            parents.insert(parent);
        }
        self.watched.retain(|directory, _| {
            let keep = parents.contains(directory);
            if !keep {
                let _ = watcher.unwatch(directory);
            }
            keep
        });
        unseen
    }

    fn forget(&mut self) {
        self.watched.clear();
    }
}

/// Tells a directory from another one that was put in its place.
fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// Files that have changed and are to be read when they have settled.
#[derive(Default)]
struct Files {
    /// When to read; `None` while somebody has the file open and writes.
    due: BTreeMap<PathBuf, Option<Instant>>,
}

impl Files {
    fn note(&mut self, event: &Event) {
        for path in &event.paths {
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Create(_)
                | EventKind::Modify(ModifyKind::Name(_)) => self.changed(path.clone()),
                EventKind::Modify(ModifyKind::Data(_)) => {
                    self.due.insert(path.clone(), None);
                }
                // What was removed has nothing to be read; what serves goes on.
                _ => {}
            }
        }
    }

    fn changed(&mut self, file: PathBuf) {
        self.due.insert(file, Some(Instant::now() + SETTLE));
    }

    async fn next_due(&self) {
        match self.due.values().flatten().min() {
            Some(at) => sleep_until(*at).await,
            None => std::future::pending().await,
        }
    }

    fn take_due(&mut self) -> Vec<PathBuf> {
        let now = Instant::now();
        let due: Vec<PathBuf> = self
            .due
            .iter()
            .filter(|(_, at)| at.is_some_and(|at| at <= now))
            .map(|(path, _)| path.clone())
            .collect();
        for path in &due {
            self.due.remove(path);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, RenameMode};

    fn event(kind: EventKind) -> Event {
        Event::new(kind).add_path("/a".into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_being_written_is_not_read_before_it_is_closed() {
        let mut files = Files::default();
        files.note(&event(EventKind::Create(CreateKind::File)));
        files.note(&event(EventKind::Modify(ModifyKind::Data(DataChange::Any))));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(files.take_due().is_empty(), "the writer has not closed it");
        files.note(&event(EventKind::Access(AccessKind::Close(AccessMode::Write))));
        assert!(files.take_due().is_empty(), "it has to settle first");
        files.next_due().await;
        assert_eq!(files.take_due(), [PathBuf::from("/a")]);
        assert!(files.take_due().is_empty(), "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_appears_complete_is_read_when_it_has_settled() {
        for kind in [EventKind::Create(CreateKind::File), EventKind::Modify(ModifyKind::Name(RenameMode::To))]
        {
            let mut files = Files::default();
            files.note(&event(kind));
            files.next_due().await;
            assert_eq!(files.take_due().len(), 1);
        }
    }
}
