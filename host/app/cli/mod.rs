//! The command line: what each subcommand takes, says, and ends with.
//!
//! Results go to standard output, everything else to standard error, so that `--json` can be piped. The exit
//! code is 0 when the command did what it was asked to, 1 when it failed, 2 when it was called wrongly. A
//! failure is one message: the cause first, then what to do.
//!
//! What this deliberately does not do: run a host. `wharf up` reads the manifest and hands over to
//! [`crate::up`], everything that builds to [`crate::build`].

mod build;
mod call;
mod check;
mod client;
mod doctor;
mod inspect;
mod manual;
mod new;
mod plugin;
mod profile;
mod sdk;
mod up;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "wharf",
    version,
    about = "A WebAssembly plugin host: load components, serve them, swap them while they run",
    after_help = "\
The author's loop:
  wharf new handler greet          a project that builds, has tests, and answers
  cd greet && wharf up --watch     serve it; what is saved is built and swapped in
  cargo test                       its tests, natively and in a real host

Examples:
  wharf up examples/hello          build what is stale, then serve
  wharf check                      every problem of ./wharf.toml and its components at once
  wharf inspect notes.wasm         what a component is, and what it would need
  wharf plugin list                what the running host of this folder serves
  wharf plugin load notes new.wasm swap to another component, without a dropped request
  wharf profile notes              what it computes, for the Firefox profiler

Exit codes: 0 it worked, 1 it failed, 2 the command line is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project: a plugin that builds, has tests, and answers
    New(NewArgs),
    /// Build the components that are stale
    Build(BuildArgs),
    /// Build what is stale, then serve until SIGTERM or Ctrl-C
    Up(UpArgs),
    /// Check the manifest and its components, and show every problem at once
    Check(CheckArgs),
    /// Show what a component is, what it exports and imports, and what it would need granted
    Inspect(InspectArgs),
    /// List, load and roll back the plugins of a running host
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Call a function of a plugin of a running host
    Call(CallArgs),
    /// Record what a plugin of a running host computes, for the Firefox profiler
    Profile(ProfileArgs),
    /// Show and update a project's copy of the SDK
    #[command(subcommand)]
    Sdk(SdkCommand),
    /// Look at everything that building and serving need, and say what mends what is wrong
    Doctor(DoctorArgs),
    /// Print what a shell completes commands and options with
    #[command(after_help = "\
Examples:
  wharf completions bash > ~/.local/share/bash-completion/completions/wharf
  wharf completions zsh > ~/.zfunc/_wharf
  wharf completions fish > ~/.config/fish/completions/wharf.fish")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each subcommand
    #[command(after_help = "\
Examples:
  wharf man | man -l -
  wharf man --dir ~/.local/share/man/man1 && man wharf-up")]
    Man {
        /// Write wharf.1 and a page for each subcommand into this folder
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

/// `wharf new`.
#[derive(Debug, Args)]
#[command(after_help = "\
The project needs nothing but Rust: the SDK's sources are written into vendor/wharf, to be committed with it, and Cargo.lock pins what they were tested with. Nothing is ever overwritten.

Examples:
  wharf new handler greet
  wharf new service accounts
  wharf new socket chat
  wharf new handler greet --dir services/greet")]
struct NewArgs {
    /// What kind of plugin
    #[arg(value_name = "KIND")]
    kind: NewKind,
    /// Its name: a letter of a-z, then up to 63 of a-z, 0-9, - and _
    name: String,
    /// The folder to make it in, new or empty [default: ./NAME]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The kinds of plugin that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum NewKind {
    /// Answers HTTP requests
    Handler,
    /// Exports functions, which are served as REST, gRPC, GraphQL and JSON-RPC
    Service,
    /// Speaks to browsers over WebSocket
    Socket,
}

/// `wharf build`.
#[derive(Debug, Args)]
#[command(after_help = "\
Runs the `build` command of each plugin in wharf.toml whose component is stale; a command that starts with cargo always runs, because Cargo knows best. The target wasm32-wasip2 is added where it is missing.

Examples:
  wharf build
  wharf build examples/hello --json")]
struct BuildArgs {
    /// The folder with wharf.toml, or the file
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// `wharf up`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
The host prints its addresses when it serves. It reloads when wharf.toml or a component file changes; what does not load never serves, and the old version goes on. SIGTERM or Ctrl-C lets requests in flight finish.

With --watch, sources are watched, too: a save runs the `build` commands of the plugins that it concerns, the compiler's errors are shown as they are while the old version goes on, and what builds is swapped in.

Examples:
  wharf up
  wharf up --watch
  wharf up examples/hello --http 0.0.0.0:8080
  wharf up --http 127.0.0.1:0 --log json")]
struct UpArgs {
    /// The folder with wharf.toml
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Build and swap in what is saved, while it serves
    #[arg(long)]
    watch: bool,
    /// Where clients connect, instead of [listen] http
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Where the admin API listens, instead of [listen] admin
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Where the host keeps its stores and its token, instead of [app] data; the cache of compiled components stays
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How log lines look, instead of [log] format
    #[arg(long, value_name = "FORMAT", value_parser = ["auto", "text", "json"])]
    log: Option<String>,
}

/// `wharf check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Checks without building or serving: the manifest, each component file against its grants, and what functions, routes and doors have to do with each other. With --against, each change since an earlier state that would break a client is an error.

Examples:
  wharf check examples/hello
  wharf check --against ../released
  wharf check --against users-1.0.wasm
  wharf check --json | jq '.problems[].message'")]
struct CheckArgs {
    /// The folder with wharf.toml, or the file
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Name what would break clients of an earlier state: its folder with wharf.toml, or one component file
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// `wharf inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wharf inspect notes.wasm
  wharf inspect notes.wasm --json | jq -r .wit")]
struct InspectArgs {
    /// The component file
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Show which generation of each plugin serves, and what was refused
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Load a component into a running host and swap to it when it is good
    #[command(after_help = "\
The old generation serves until the new one has been compiled, instantiated and has passed its health check, and goes on when it has not. The component counts until the next load or restart; wharf.toml is not changed.")]
    Load {
        /// The plugin's name in wharf.toml
        name: String,
        /// The component file
        file: PathBuf,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Swap back to the component that served before
    Rollback {
        /// The plugin's name in wharf.toml
        name: String,
        #[command(flatten)]
        host: HostArgs,
    },
}

/// `wharf call`.
#[derive(Debug, Args)]
#[command(after_help = "\
The function is one of an interface that the plugin itself defines; `wharf inspect` lists them. Parameters are members of one JSON object, by their names in camel case. What the function gives is printed as JSON, a line for each value where it streams. Exits with 1 when the call fails.

Examples:
  wharf call users accounts.get-user '{\"id\": \"u1\"}'
  wharf call users accounts.list-users '{\"first\": 10}' --json | jq '.items[].email'
  wharf call users accounts.create-user - < user.json")]
struct CallArgs {
    /// The plugin's name in wharf.toml
    plugin: String,
    /// INTERFACE.FUNCTION; with its package where two interfaces have the same name
    function: String,
    /// Its parameters; - reads them from standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    arguments: String,
    #[command(flatten)]
    host: HostArgs,
}

/// `wharf profile`.
#[derive(Debug, Args)]
#[command(after_help = "\
The stack of the plugin's code is sampled whenever a tick of the host ([engine] tick, 1 ms) finds it running, in all of its instances, while the host goes on serving. Only this plugin's calls pay for it, and only while it is recorded. Build the plugin with its function names: Cargo's profile must not have strip = true.

The file is a JSON document for https://profiler.firefox.com, which shows it as a call tree and a flame graph; it stays in your browser.

Examples:
  wharf profile notes
  wharf profile notes --seconds 60 --output notes.json")]
struct ProfileArgs {
    /// The plugin's name in wharf.toml
    name: String,
    /// How long to record, in seconds, 1 to 300
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "profile.json")]
    output: PathBuf,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, Subcommand)]
enum SdkCommand {
    /// Show which SDK the project has, and which one this wharf carries
    Show(SdkArgs),
    /// Put the SDK of this wharf in the place of the project's copy
    #[command(after_help = "\
The copy is vendor/wharf. It is replaced as a whole and in one step; one that was changed by hand only with --force.")]
    Update {
        #[command(flatten)]
        project: SdkArgs,
        /// Lose changes that were made by hand
        #[arg(long)]
        force: bool,
    },
}

/// `wharf doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks at the toolchain and its wasm32-wasip2 target, the manifest, its ports and its data folder, the project's copy of the SDK, disk, memory, swap, and the limits of the kernel and of this shell. Changes nothing. Exits with 1 when something does not work; a warning is not a failure.

Examples:
  wharf doctor
  wharf doctor examples/hello --json | jq '.checks[] | select(.status != \"ok\")'")]
struct DoctorArgs {
    /// The folder with wharf.toml, or the file; the defaults are looked at where there is none
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Which project.
#[derive(Debug, Args)]
struct SdkArgs {
    /// The folder of the plugin
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Which host.
#[derive(Debug, Args)]
struct HostArgs {
    /// The folder with wharf.toml; the running host leaves its address and token in its data folder
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The admin API's address, instead of the one that the host left there
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Does what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Up(args) => match up::manifest(&args) {
            Ok(manifest) => return crate::up::run(manifest, args.watch),
            Err(failed) => Err(failed),
        },
        Command::Check(args) => check::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Plugin(PluginCommand::List { host }) => plugin::list(&host),
        Command::Plugin(PluginCommand::Load { name, file, host }) => plugin::load(&host, &name, &file),
        Command::Plugin(PluginCommand::Rollback { name, host }) => plugin::rollback(&host, &name),
        Command::Call(args) => call::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Sdk(SdkCommand::Show(project)) => sdk::show(&project),
        Command::Sdk(SdkCommand::Update { project, force }) => sdk::refresh(&project, force),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::man(dir.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            if let Some(message) = failed.0 {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed: what `error: ` is followed by, or nothing when it has been said already.
#[derive(Debug)]
pub(crate) struct Failed(Option<String>);

impl Failed {
    /// With one message, the cause first and what to do after it.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Failed(Some(message.to_string()))
    }

    /// After diagnostics that said it all.
    pub(crate) fn said() -> Self {
        Failed(None)
    }
}

/// What asynchronous work of a short command runs on.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failed::new)
}

/// Prints a result for a script.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(value).map_err(Failed::new)?;
    print(&format!("{text}\n"))
}

/// Prints a result. A reader that has gone away, such as `head`, is not an error.
fn print(text: &str) -> Result<(), Failed> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failed::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A size for people: three digits and a unit.
fn human_size(bytes: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(factor, _)| bytes >= *factor) {
        Some((factor, unit)) => format!("{:.1} {unit}", bytes as f64 / factor as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_explains_itself() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                assert!(sub.get_about().is_some(), "{}", sub.get_name());
                for arg in sub.get_arguments() {
                    assert!(arg.get_help().is_some(), "{} {}", sub.get_name(), arg.get_id());
                }
                check(sub);
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn a_wrong_call_is_a_usage_error() {
        for wrong in [
            &["wharf"][..],
            &["wharf", "upp"],
            &["wharf", "up", "--http", "x"],
            &["wharf", "up", "--log", "x"],
        ] {
            let error = Cli::try_parse_from(wrong).err().map(|error| error.exit_code());
            assert_eq!(error, Some(2), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([0, 1023, 1536, 5 << 20].map(human_size), ["0 B", "1023 B", "1.5 KiB", "5.0 MiB"]);
    }
}
