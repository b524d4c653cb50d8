//! The command line: what was typed, and which command runs.
//!
//! Facts go to standard output, as a table for people or as JSON for programs; what happened on the way goes to standard error.
//! Exit codes: 0 done, 1 failed, 2 usage, 3 something needs attention, 78 a bad configuration.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use self::accounts::{TokenCommand, UserCommand};
use self::arguments::{address, typed, version, wants_no_colors};
use self::configuration::ConfigCommand;
use self::demo::DemoArgs;
use self::diff::DiffArgs;
use self::guard::GuardCommand;
use self::init::InitArgs;
use self::ledger::LedgerCommand;
use self::outbox::OutboxCommand;
use self::preview::PreviewArgs;
use self::remind::RemindArgs;
use self::replies::RepliesCommand;
use self::run::RunArgs;
use self::send_test::SendTestArgs;
use self::shadow::ShadowArgs;
use self::simulate::SimulateArgs;
use self::store::StoreCommand;
use self::suppress::SuppressCommand;
use self::templates::TemplatesCommand;
use self::why::WhyArgs;
use crate::config::{self, Config, Mistakes};
use crate::daemon::open_store;
use crate::desk::{Desk, Unanswered};
use crate::outbox::StoreError;

#[macro_use]
mod out;

mod accounts;
mod arguments;
mod arrival;
mod backup;
mod bounce;
mod check;
mod configuration;
mod demo;
mod diff;
mod digest;
mod examples;
mod gallery;
mod guard;
mod health;
mod init;
mod ledger;
mod logging;
mod outbox;
mod preview;
mod private_folder;
mod progress;
mod prune;
mod remind;
mod replies;
mod run;
mod send_test;
mod shadow;
mod signals;
mod simulate;
mod since;
mod status;
mod store;
mod store_copy;
mod suppress;
mod table;
mod templates;
mod unreachable;
mod why;

/// Sends each participant of a video session their invitation and reminders, in their own time, with their own code.
#[derive(Debug, Parser)]
#[command(name = "punctual", version = version(), max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// The configuration file.
    ///
    /// Default: ./punctual.toml, then ./config/punctual.toml, then /etc/punctual/punctual.toml; none of them: built-in defaults, which can preview but
    /// not send.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON instead of tables: one object a line.
    #[arg(long, global = true)]
    json: bool,
    /// Show all columns of tables, however wide they are.
    #[arg(long, global = true)]
    wide: bool,
    /// Show times in UTC, as programs write them, instead of the practice's clock in words.
    #[arg(long, global = true)]
    utc: bool,
    /// Whether to use colours.
    #[arg(long, global = true, value_enum, default_value_t = ColorWhen::Auto, value_name = "WHEN")]
    color: ColorWhen,
    /// How much to log to standard error: error, warn, info, debug, trace, or a filter such as punctual=debug.
    #[arg(long, global = true, value_name = "LEVEL", env = "PUNCTUAL_LOG")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon: reads the schedule and sends what is due.
    Run(RunArgs),
    /// Shows what would be sent, and what not and why. Sends nothing: it holds nothing that could.
    Preview(PreviewArgs),
    /// Checks configuration, templates, zones and sources.
    Check {
        /// Also log in to relays and gateways, without sending, and ask the DNS about the sender's domain (SPF, DKIM, DMARC).
        #[arg(long)]
        online: bool,
        /// Read no source: only whether the daemon can start.
        #[arg(long, conflicts_with = "online")]
        offline: bool,
        /// Ask this name server, ADDRESS:PORT, instead of the host's.
        #[arg(long, requires = "online", value_name = "ADDRESS:PORT")]
        name_server: Option<std::net::SocketAddr>,
    },
    /// Shows counts by state, what is due next, the last snapshots, and what needs attention.
    Status,
    /// Asks the running daemon, at the address where it listens, whether what is due can go out. Exit code 1 if not, or if nothing answers.
    Health {
        /// Only whether the process and its store answer: a server that is down does not count.
        #[arg(long)]
        alive: bool,
    },
    /// Rehearses: the whole engine on a virtual clock, with servers that obey a script.
    Simulate(SimulateArgs),
    /// Compares what was sent, or in shadow mode would have been, with what the provider says that it sent. Exit code 3 if they differ.
    Shadow(ShadowArgs),
    /// Shows who gains, loses or moves a message if the configuration changes.
    Diff(DiffArgs),
    /// Lists upcoming participants who will not be reached, and why. Exit code 3 if there are any.
    Unreachable,
    /// What people wrote that somebody should read: list, read.
    #[command(subcommand)]
    Replies(RepliesCommand),
    /// Shows the daily letter to the practice as it would be now: who will not be reached, and what else needs somebody.
    Digest {
        /// Send it now, besides the scheduled ones.
        #[arg(long)]
        send: bool,
    },
    /// Explains what was, will or will not be sent: what is looked at, what is said, and what became of it.
    Why(WhyArgs),
    /// Shows and changes notices.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Reminds the participants of a session now, with their code; or one of them. The daemon hands it over.
    Remind(RemindArgs),
    /// Shows and accepts what waits because too much changed at once.
    #[command(subcommand)]
    Guard(GuardCommand),
    /// Shows and changes the list of addresses that get no messages.
    #[command(subcommand)]
    Suppress(SuppressCommand),
    /// Reads one bounce (RFC 3464) from standard input, as a mail server pipes it. Exit codes are those of sysexits.h.
    Bounce,
    /// Shows what happened, and that nobody rewrote it.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Copies the store to a new file, while it is in use, and checks the copy.
    Backup {
        /// The file to write: a new one.
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
    /// Changes how the store is sealed.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Removes what is past its retention time. (The daemon does so by itself.)
    Prune,
    /// Shows and changes who may use the pages.
    #[command(subcommand)]
    User(UserCommand),
    /// Shows and changes which programs may use the API.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Sends one sample message through the real transport.
    SendTest(SendTestArgs),
    /// Shows and copies the texts of messages: what came with the program, and what the practice says in its place.
    #[command(subcommand)]
    Templates(TemplatesCommand),
    /// Shows the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Writes a commented configuration to start from, with sample sessions. Asks on a terminal.
    Init(InitArgs),
    /// Shows the whole program at work on sessions of its own, with nothing configured and nothing sent; then, on a terminal, its pages in a browser.
    Demo(DemoArgs),
    /// Prints a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page.
    Man {
        /// Writes it, and one for each command, into this folder instead.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 3
    Attention,
    /// One of sysexits.h, for a mail server.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::FAILURE,
            Exit::Attention => ExitCode::from(3),
            Exit::Code(code) => ExitCode::from(code),
        }
    }
}

/// A command that was typed wrongly, in a way that its arguments alone do not show.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// As clap ends.
const WRONG_USAGE: u8 = 2;
/// sysexits.h EX_CONFIG.
const BAD_CONFIGURATION: u8 = 78;
/// sysexits.h EX_IOERR: the store could not be read or written.
const STORE_FAILED: u8 = 74;
/// sysexits.h EX_IOERR: nor could standard output.
const OUTPUT_FAILED: u8 = 74;

/// Reads the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = typed_command();
    let heard = run::hear(&cli.command);
    let config = match config_for(&cli) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let usual = if matches!(cli.command, Command::Demo(_) | Command::Simulate(_)) { "warn" } else { config.raw.log.level.as_str() };
    let log = match logging::start(cli.log.clone(), usual, config.raw.log.format, cli.color, matches!(cli.command, Command::Run(_))) {
        Ok(log) => log,
        Err(why) => {
            eprintln!("--log: {why}");
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let ended = dispatch(&cli, config, &log, heard);
    logging::flush();
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            // A reader that has seen enough (`ledger export | head`) is no failure.
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            eprintln!("{}", table::in_lines_of_errors(&format!("punctual: {error:#}"), 2));
            if error.is::<Usage>() {
                ExitCode::from(WRONG_USAGE)
            } else if error.is::<Mistakes>() || error.downcast_ref::<StoreError>().is_some_and(StoreError::is_displaced) {
                ExitCode::from(BAD_CONFIGURATION)
            } else if error.is::<StoreError>() {
                ExitCode::from(STORE_FAILED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// What was typed; help and mistakes end here.
fn typed_command() -> Cli {
    let colors = if wants_no_colors(std::env::args_os()) { ColorChoice::Never } else { ColorChoice::Auto };
    let matches = examples::with(Cli::command()).color(colors).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Commands that need no configuration do not fail for a bad one.
fn config_for(cli: &Cli) -> Result<Config, Mistakes> {
    match cli.command {
        Command::Init(_)
        | Command::Diff(_)
        | Command::Demo(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Config(ConfigCommand::Schema) => config::parse("", None, &[]),
        _ => config::load(cli.config.as_deref()).map(|config| run::patient(config, &cli.command)).inspect(|config| say_which(cli, config)),
    }
}

/// Which configuration was found, unless it was named: a false one must not be taken for the right one.
fn say_which(cli: &Cli, config: &Config) {
    match (&cli.config, &config.file) {
        // Whoever reads lines of JSON reads nothing else.
        _ if config.raw.log.format == config::raw::LogFormat::Json => {}
        (Some(_), _) => {}
        (None, Some(file)) => eprintln!("Configuration: {}", file.display()),
        (None, None) => eprintln!("Configuration: none found: built-in defaults, which can preview but not send"),
    }
}

fn dispatch(cli: &Cli, config: Config, log: &logging::Log, heard: std::io::Result<Option<signals::Hearing>>) -> anyhow::Result<Exit> {
    let colors = table::TableStyle::new(cli.color, cli.wide, cli.utc);
    match &cli.command {
        Command::Run(args) => run::run(config, heard?, args.once, log, || config_for(cli).map_err(|mistakes| mistakes.to_string())),
        Command::Preview(args) => preview::preview(config, args, cli.json, colors),
        Command::Check { online, offline, name_server } => {
            let reach = if *offline {
                check::CheckDepth::Nowhere
            } else if *online {
                check::CheckDepth::Everywhere { name_server: *name_server }
            } else {
                check::CheckDepth::Sources
            };
            check::check(config, reach, cli.json)
        }
        Command::Status => status::status(config, cli.json, colors),
        Command::Health { alive } => health::health(&config, *alive, cli.json),
        Command::Simulate(args) => simulate::simulate(config, args, cli.json, colors),
        Command::Shadow(args) => shadow::shadow(config, args, cli.json, colors),
        Command::Diff(args) => diff::diff(args, cli.json, colors),
        Command::Unreachable => unreachable::unreachable(config, cli.json, colors),
        Command::Replies(command) => replies::replies(config, command, cli.json, colors),
        Command::Digest { send } => digest::digest(config, *send, cli.json),
        Command::Why(args) => why::why(config, args, cli.json, colors),
        Command::Outbox(command) => outbox::outbox(config, command, cli.json, colors),
        Command::Remind(args) => remind::remind(config, args, cli.json),
        Command::Guard(command) => guard::guard(config, command, cli.json, colors),
        Command::Suppress(command) => suppress::suppress(config, command, cli.json, colors),
        Command::Bounce => bounce::bounce(config),
        Command::Ledger(command) => ledger::ledger(config, command, cli.json),
        Command::Backup { to } => backup::backup(config, to, cli.json),
        Command::Store(command) => store::store(&config, command),
        Command::Prune => prune::prune(config, cli.json),
        Command::User(command) => accounts::user(&config, command, cli.json, colors),
        Command::Token(command) => accounts::token(&config, command, cli.json, colors),
        Command::SendTest(args) => send_test::send_test(config, args, cli.json),
        Command::Templates(command) => templates::templates(&config, command, cli.json, colors),
        Command::Config(ConfigCommand::Print) => configuration::print(&config, cli.json),
        Command::Config(ConfigCommand::Schema) => configuration::schema(),
        Command::Init(args) => init::init(args),
        Command::Demo(args) => demo::demo(args, colors),
        Command::Completions { shell } => Ok(configuration::completions(*shell)),
        Command::Man { dir } => configuration::man(dir.as_deref()),
    }
}

/// Where a command asks.
fn desk(config: Config) -> anyhow::Result<Desk> {
    let outbox = open_store(&config, false)?;
    Ok(Desk { outbox, sources: config.sources.iter().map(|s| s.name.clone()).collect(), policy: Arc::new(config.policy) })
}

/// A store that failed has an exit code of its own.
fn answer<T>(answer: Result<T, Unanswered>) -> anyhow::Result<T> {
    answer.map_err(|why| match why {
        Unanswered::Store(error) => error.into(),
        record @ Unanswered::Record(_) => record.into(),
    })
}

/// A runtime for a command.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
