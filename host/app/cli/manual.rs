use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failed, print};

/// Prints what a shell completes commands and options with.
pub(super) fn completions(shell: Shell) -> Result<(), Failed> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wharf", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page of the whole command, or writes one for each subcommand.
pub(super) fn man(dir: Option<&Path>) -> Result<(), Failed> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(Failed::new)?;
        return print(&String::from_utf8_lossy(&page));
    };
    let cannot = |error| Failed::new(format!("cannot write manual pages to {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(cannot)?;
    // `help` is a command that explains the others; a page for it would explain nothing.
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), dir).map_err(cannot)?;
    print(&format!("wrote the manual pages to {}\n", dir.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use clap::ValueEnum;

    use super::*;

    /// The words that lead to each subcommand: `plugin`, `plugin list`, ...
    fn subcommands(command: &clap::Command) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let name = sub.get_name().to_owned();
            all.extend(subcommands(sub).into_iter().map(|rest| [vec![name.clone()], rest].concat()));
            all.push(vec![name]);
        }
        all
    }

    #[test]
    fn every_shell_completes_every_subcommand() {
        let all = subcommands(&Cli::command());
        assert!(all.contains(&vec!["plugin".into(), "rollback".into()]), "{all:?}");
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "wharf", &mut script);
            let script = String::from_utf8(script).unwrap();
            for words in &all {
                let name = words.last().unwrap();
                assert!(script.contains(name.as_str()), "{shell} does not know {words:?}");
            }
            assert!(script.contains("watch"), "{shell} knows no options");
        }
    }

    #[test]
    fn every_subcommand_has_a_manual_page() {
        let dir = std::env::temp_dir().join(format!("wharf-man-{}", std::process::id()));
        man(Some(&dir)).unwrap();
        let mut all = subcommands(&Cli::command());
        all.push(Vec::new());
        for words in all {
            let name = [vec!["wharf".to_owned()], words].concat().join("-");
            let page = std::fs::read_to_string(dir.join(format!("{name}.1")));
            let page = page.unwrap_or_else(|error| panic!("{name}.1: {error}"));
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
        }
        assert!(!dir.join("wharf-help.1").exists());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
