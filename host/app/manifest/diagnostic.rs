use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::source::{Place, Source, Span};

/// One thing that is wrong with a manifest, and what to write instead.
#[derive(Clone, Debug)]
pub(crate) struct Diagnostic {
    /// Whether the manifest can be used all the same.
    pub(crate) severity: Severity,
    /// What is wrong: one sentence, without its final stop.
    pub(crate) message: String,
    path: PathBuf,
    place: Option<Place>,
    /// Another line that has to do with it, and why.
    other: Option<(Place, String)>,
    help: Option<String>,
    /// Lines to write, exactly.
    write: Vec<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// The manifest is not used.
    Error,
    /// The manifest is used, and probably does not do what was meant.
    Warning,
}

impl Diagnostic {
    pub(super) fn at(source: &Source, severity: Severity, span: &Span, message: impl Into<String>) -> Self {
        Diagnostic {
            place: Some(source.place(span)),
            ..Self::nowhere(source.path.clone(), severity, message)
        }
    }

    /// About the file as a whole.
    pub(super) fn nowhere(path: PathBuf, severity: Severity, message: impl Into<String>) -> Self {
        let message = message.into();
        Diagnostic { severity, message, path, place: None, other: None, help: None, write: Vec::new() }
    }

    /// Says what to do.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a line to write below the help.
    pub(crate) fn write(&mut self, line: impl Into<String>) -> &mut Self {
        self.write.push(line.into());
        self
    }

    pub(super) fn see(&mut self, source: &Source, span: &Span, why: impl Into<String>) -> &mut Self {
        self.other = Some((source.place(span), why.into()));
        self
    }

    /// Line and column, counted from 1; none for the file as a whole.
    pub(crate) fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.line, place.column))
    }

    fn help_text(&self) -> Option<String> {
        let help = self.help.as_ref()?;
        Some(std::iter::once(help).chain(&self.write).map(String::as_str).collect::<Vec<_>>().join("\n"))
    }
}

/// In the layout that rustc made familiar.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        let path = self.path.display();
        let lines = self.place.iter().chain(self.other.iter().map(|(place, _)| place));
        let gutter = lines.map(|place| place.line.to_string().len()).max().unwrap_or(1);
        match &self.place {
            Some(place) => {
                writeln!(f, "{:gutter$}--> {path}:{}:{}", "", place.line, place.column)?;
                writeln!(f, "{:gutter$} |", "")?;
                excerpt(f, gutter, place, "")?;
            }
            None => writeln!(f, "{:gutter$}--> {path}", "")?,
        }
        if let Some((place, why)) = &self.other {
            writeln!(f, "{:gutter$} ...", "")?;
            excerpt(f, gutter, place, why)?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{:gutter$} = help: {help}", "")?;
            for line in &self.write {
                writeln!(f, "{:gutter$}     {line}", "")?;
            }
        }
        Ok(())
    }
}

fn excerpt(f: &mut fmt::Formatter<'_>, gutter: usize, place: &Place, why: &str) -> fmt::Result {
    let Place { line, column, text, width } = place;
    writeln!(f, "{line:gutter$} | {text}")?;
    let underline = format!("{:indent$}{:^<width$} {why}", "", "", indent = column - 1);
    writeln!(f, "{:gutter$} | {}", "", underline.trim_end())
}

/// For `wharf check --json`.
impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            severity: Severity,
            message: &'a str,
            path: String,
            line: Option<usize>,
            column: Option<usize>,
            help: Option<String>,
        }
        let (line, column) = self.position().unzip();
        let (severity, message, help) = (self.severity, &*self.message, self.help_text());
        Fields { severity, message, path: self.path.display().to_string(), line, column, help }
            .serialize(serializer)
    }
}

/// Everything that is wrong with a manifest, in the order of its lines.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.0.push(diagnostic);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(Diagnostic::position);
    }

    /// How many are errors.
    pub(crate) fn errors(&self) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(all: I) -> Self {
        Diagnostics(all.into_iter().collect())
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, more: I) {
        self.0.extend(more);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Each with an empty line after it.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|diagnostic| writeln!(f, "{diagnostic}"))
    }
}

impl std::error::Error for Diagnostics {}
