//! What a file of `tests/components/zoo` says: the animal, what it is asked, and what must come of it.

use std::fs;
use std::path::Path;

use wharf_harness::components;

use super::{CAGE, frame, generated};

/// A component that means harm.
#[derive(Debug)]
pub(super) struct Animal {
    /// The name of its file, and of its plugin.
    pub(super) name: String,
    /// The folder that it is in.
    pub(super) group: String,
    /// `attacks:` what it is after.
    pub(super) attacks: String,
    /// `expect:` what must come of its load or, one after the other, of its requests.
    pub(super) expect: Vec<Vec<Outcome>>,
    /// `request:` what it is sent, `POST / 4099` without.
    pub(super) request: Asked,
    /// `limits:`, `pool:`, `grants:`, `env:` lines of its manifest.
    pub(super) manifest: String,
    /// `then: silent`: it answers nobody, whatever it is asked. The others answer a GET after the attack.
    pub(super) silent: bool,
    /// `build: release`: it is let out in a release build only, for a reason that is given.
    pub(super) release_only: bool,
    source: Source,
}

/// One request of an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    /// The size of the body; small ones are sent whole, others in chunks.
    pub(super) bytes: usize,
}

/// One way in which an attack may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `refused STAGE "TEXT"`: it is never loaded.
    Refused { stage: String, says: String },
    /// `STATUS`, or `STATUS KIND` for a problem document.
    Answered { status: u16, kind: Option<String> },
    /// `cut`: a head of 200, and then a body that is seen as cut.
    Cut,
}

#[derive(Debug)]
enum Source {
    /// The file is the component, or what goes into the frame.
    Text(String),
    /// `guest:` a component of `tests/components`.
    Guest(String),
    /// `generate:` one that is too large, or too broken, to be written down.
    Generated(String),
}

impl Animal {
    /// All of them, sorted by group and name.
    pub(super) fn all(zoo: &Path) -> Vec<Animal> {
        let mut animals = Vec::new();
        for group in entries(zoo).filter(|path| path.is_dir()) {
            animals.extend(entries(&group).map(|file| Animal::read(&file)));
        }
        animals.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        animals
    }

    fn read(file: &Path) -> Animal {
        let text = fs::read_to_string(file).unwrap();
        Animal::parse(&stem(file), &stem(file.parent().unwrap()), &text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    fn parse(name: &str, group: &str, text: &str) -> Result<Animal, String> {
        let mut animal = Animal {
            name: name.to_owned(),
            group: group.to_owned(),
            attacks: String::new(),
            expect: Vec::new(),
            request: Asked { method: "POST".to_owned(), path: "/".to_owned(), bytes: 4099 },
            manifest: String::new(),
            silent: false,
            release_only: false,
            source: Source::Text(String::new()),
        };
        let mut rest = text;
        // The head ends with the first line that is no `;; key: value`.
        while let Some((line, after)) = rest.split_once('\n')
            && let Some((key, value)) = line.strip_prefix(";; ").and_then(|line| line.split_once(": "))
        {
            rest = after;
            match key {
                "attacks" => animal.attacks = value.to_owned(),
                "expect" => {
                    for step in value.split(" then ") {
                        animal.expect.push(step.split(" or ").map(Outcome::parse).collect::<Result<_, _>>()?);
                    }
                }
                "request" => animal.request = Asked::parse(value)?,
                "limits" | "pool" | "grants" => {
                    animal.manifest += &format!("[plugin.{name}.{key}]\n{}\n", value.replace("; ", "\n"));
                }
                "then" if value == "silent" => animal.silent = true,
                "build" if value.starts_with("release, for ") => animal.release_only = true,
                "guest" => animal.source = Source::Guest(value.to_owned()),
                "generate" => animal.source = Source::Generated(value.to_owned()),
                _ => return Err(format!("what is {line:?}?")),
            }
        }
        if let Source::Text(own) = &mut animal.source {
            *own = rest.to_owned();
        } else if !rest.trim().is_empty() {
            return Err("it has a text, and another source".to_owned());
        }
        if animal.attacks.is_empty() || animal.expect.is_empty() {
            return Err("`;; attacks: …` and `;; expect: …` are missing".to_owned());
        }
        Ok(animal)
    }

    /// The component.
    pub(super) fn component(&self) -> Vec<u8> {
        let text = match &self.source {
            Source::Guest(name) => {
                let found = components::ALL.iter().find(|(guest, _)| guest == name);
                let (_, path) = found.unwrap_or_else(|| panic!("{}: no guest {name:?}", self.name));
                return fs::read(path).unwrap();
            }
            Source::Generated(what) => match generated::make(what) {
                generated::Made::Component(bytes) => return bytes,
                generated::Made::Text(text) => text,
            },
            Source::Text(text) => text.clone(),
        };
        let whole =
            text.lines().find(|line| !line.starts_with(";;")).is_some_and(|line| line == "(component");
        let text = if whole { text } else { frame::around(&text) };
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// The first step says whether it is to be refused.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.expect[0][0], Outcome::Refused { .. })
    }

    /// The name of the plugin that it is, or would be: one that must not be loaded needs none of its own, unless
    /// it has its own lines in the manifest.
    pub(super) fn cage(&self) -> &str {
        if self.is_refused() && self.manifest.is_empty() { CAGE } else { &self.name }
    }

    /// What must come of it, for a table.
    pub(super) fn expectation(&self) -> String {
        let steps = self
            .expect
            .iter()
            .map(|step| step.iter().map(Outcome::to_string).collect::<Vec<_>>().join(" or "));
        steps.collect::<Vec<_>>().join(", then ")
    }
}

impl Asked {
    /// `METHOD PATH BYTES`
    fn parse(text: &str) -> Result<Asked, String> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [method, path, bytes] = parts[..] else { return Err(format!("{text:?} is no request")) };
        let bytes = bytes.parse().map_err(|_| format!("{bytes:?} is no number"))?;
        Ok(Asked { method: method.to_owned(), path: path.to_owned(), bytes })
    }
}

impl Outcome {
    fn parse(text: &str) -> Result<Outcome, String> {
        if text == "cut" {
            return Ok(Outcome::Cut);
        }
        if let Some((stage, says)) = text.strip_prefix("refused ").and_then(|rest| rest.split_once(' ')) {
            return Ok(Outcome::Refused { stage: stage.to_owned(), says: says.trim_matches('"').to_owned() });
        }
        let (status, kind) = text.split_once(' ').map_or((text, None), |(status, kind)| (status, Some(kind)));
        let status = status.parse().map_err(|_| format!("{text:?} is no outcome"))?;
        Ok(Outcome::Answered { status, kind: kind.map(str::to_owned) })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Refused { stage, says } => write!(f, "refused at {stage}: {says}"),
            Outcome::Answered { status, kind: None } => write!(f, "{status}"),
            Outcome::Answered { status, kind: Some(kind) } => write!(f, "{status} `{kind}`"),
            Outcome::Cut => f.write_str("200, seen as cut"),
        }
    }
}

fn entries(dir: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path())
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}
