//! The command line: what was typed, and which command runs.
//!
//! Facts go to standard output, as a table for people or as JSON for programs; what happened on the way goes to standard error.
//! Exit codes: 0 done, 1 failed, 2 usage, 3 something needs attention, 78 a bad configuration.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};

use since::{Moment, Since};

use crate::access::{Name, Role, Scope};
use crate::config::{self, Config, Mistakes};
use crate::contact::Address;
use crate::daemon::open_store;
use crate::desk::{Desk, Unanswered};
use crate::entry::State;
use crate::ledger::Anchor;
use crate::notice::{NoticeKey, Occasion};

#[macro_use]
mod out;

mod accounts;
mod backup;
mod bounce;
mod check;
mod configuration;
mod demo;
mod diff;
mod digest;
mod gallery;
mod guard;
mod init;
mod ledger;
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
mod simulate;
mod since;
mod status;
mod suppress;
mod table;
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
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    /// How much to log to standard error: error, warn, info, debug, trace, or a filter such as punctual=debug.
    #[arg(long, global = true, value_name = "LEVEL", env = "PUNCTUAL_LOG")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon: walks the sources and hands over what is due.
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
    /// Removes what is past its retention time. (The daemon does so by itself.)
    Prune,
    /// Shows and changes who may use the pages.
    #[command(subcommand)]
    User(UserCommand),
    /// Shows and changes which programs may use the API.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Sends one sample message through the real transport.
    SendTest {
        /// An e-mail address or a telephone number.
        #[arg(long, value_name = "ADDRESS")]
        to: String,
    },
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

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  punctual init                                  asks, and writes ./punctual.toml
  punctual init --yes --name \"Elm Street\" --zone America/New_York --user jane")]
struct InitArgs {
    /// The file to write.
    #[arg(default_value = "punctual.toml", value_name = "FILE")]
    file: PathBuf,
    /// The practice's name, which messages show.
    #[arg(long)]
    name: Option<String>,
    /// Its time zone, such as America/New_York.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// A telephone number that messages show.
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// The file with the sessions; a sample is written if there is none.
    #[arg(long, value_name = "FILE")]
    source: Option<String>,
    /// The mail server. Default: messages become files in ./outbox.
    #[arg(long, value_name = "HOST")]
    relay: Option<String>,
    /// A first user of the staff pages, with a password that is printed this once.
    #[arg(long, value_name = "NAME")]
    user: Option<Name>,
    /// Does not ask on a terminal.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  punctual demo                prints what was sent, and serves the pages until Ctrl-C
  punctual demo --once         prints it and ends")]
struct DemoArgs {
    /// The folder to work in. Default: ./punctual-demo, made anew.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Serves no pages: ends when all is printed. (So it does where its output is no terminal.)
    #[arg(long, conflicts_with = "serve")]
    once: bool,
    /// Serves pages also where its output is no terminal.
    #[arg(long)]
    serve: bool,
    /// Where. Default: 8080, or another one if that is taken.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The moment at which it plays. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Walk each source once, hand over all that is due (one attempt each), and end.
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  punctual preview                                     of the configured sources, now
  punctual preview --sessions list.json --format html  a gallery in ./preview, without any configuration
  punctual preview --at 2026-11-29 --session 9636      one session, as of that day")]
struct PreviewArgs {
    /// Read this file or folder instead of the configured sources.
    #[arg(long, value_name = "FILE|DIR")]
    sessions: Option<PathBuf>,
    /// Pretend that it is this time: 2026-11-29, "2026-11-29 15:00" on the practice's clock, or 2026-11-29T20:00:00Z. Default: now.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    at: Option<Moment>,
    /// Show what is due until then. Default: the last start.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
    /// Only this session.
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
    /// Only this participation.
    #[arg(long, value_name = "ID")]
    participant: Option<i64>,
    /// Take into account what the store knows: what was told already, when sessions were first seen.
    #[arg(long)]
    store: bool,
    /// What to print.
    #[arg(long, value_enum, default_value_t = PreviewFormat::Table)]
    format: PreviewFormat,
    /// html, eml: the folder to write. Default: ./preview
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show addresses and connect codes. (Is written to the ledger.)
    #[arg(long)]
    reveal: bool,
}

/// What `preview` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreviewFormat {
    /// For people.
    Table,
    /// One object a line.
    Json,
    /// A gallery that opens in a browser.
    Html,
    /// A file for each message.
    Eml,
}

#[derive(Debug, Args)]
struct SimulateArgs {
    /// The beginning.
    #[arg(long, value_name = "TIME")]
    from: DateTime<Utc>,
    /// The end.
    #[arg(long, value_name = "TIME")]
    until: DateTime<Utc>,
    /// Read this file or folder instead of the configured sources.
    #[arg(long, value_name = "FILE|DIR")]
    sessions: Option<PathBuf>,
    /// What happens in between: a TOML file.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ShadowArgs {
    /// Leave out what was before. Default: the provider's first report.
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// The configuration as it is.
    #[arg(value_name = "OLD.toml")]
    old: PathBuf,
    /// The configuration as it would be.
    #[arg(value_name = "NEW.toml")]
    new: PathBuf,
    /// Read this file or folder instead of the new configuration's sources.
    #[arg(long, value_name = "FILE|DIR")]
    sessions: Option<PathBuf>,
    /// Pretend that it is this time. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  punctual why 9636 18620      why they get what they get, or nothing")]
struct WhyArgs {
    /// SessionId.
    session: i64,
    /// ParticipationId. Default: everybody in the session.
    participation: Option<i64>,
}

#[derive(Debug, Args)]
struct RemindArgs {
    /// SessionId.
    #[arg(value_name = "SESSION")]
    session: i64,
    /// ParticipationId. Default: everybody in the session but its host.
    #[arg(value_name = "PARTICIPATION")]
    participation: Option<i64>,
    /// Also whom it reaches in quiet hours.
    #[arg(long)]
    in_quiet_hours: bool,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// Lists notices.
    List(FilterArgs),
    /// Shows one notice with its deliveries.
    Show {
        /// The notice's key.
        key: NoticeKey,
    },
    /// Makes what waits for its back-off due now; sends again what is unknown.
    Retry(FilterArgs),
    /// Holds what waits.
    Hold(FilterArgs),
    /// Releases what is held.
    Release(FilterArgs),
    /// Cancels what waits, is held or is unknown: it is not sent, and not planned again.
    Cancel {
        #[command(flatten)]
        which: FilterArgs,
        /// They were told in another way: by telephone, or by a store that was lost. What it says counts as told.
        #[arg(long)]
        told: bool,
        /// Does not ask on a terminal.
        #[arg(long)]
        yes: bool,
    },
    /// Takes a cancel back, while the message is of use.
    Restore(FilterArgs),
    /// Hands over again what was accepted or rejected, as a new notice: made anew, and checked as every other one.
    Resend(ResendArgs),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(false).args(["keys", "rejected"])))]
struct ResendArgs {
    /// These notices.
    #[arg(value_name = "KEY")]
    keys: Vec<NoticeKey>,
    /// To this e-mail address or telephone number instead of their own. Of one participant.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "rejected")]
    to: Option<String>,
    /// All that servers refused, and that is still of use: after the mend of a relay.
    #[arg(long)]
    rejected: bool,
    /// Of those, what was refused since then: a time, or so long ago (2h). Default: all.
    #[arg(long, value_name = "TIME", requires = "rejected", value_parser = Since::parse)]
    since: Option<Since>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  punctual outbox list --state held
  punctual outbox release 19ab6f0c2d3e4f5061728394a5b6c7d8
  punctual outbox cancel --all --session 9636 --told")]
struct FilterArgs {
    /// These notices.
    #[arg(value_name = "KEY")]
    keys: Vec<NoticeKey>,
    /// Of this session.
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
    /// Of this participation.
    #[arg(long, value_name = "ID")]
    participant: Option<i64>,
    /// In this state. May be given several times.
    #[arg(long, value_name = "STATE")]
    state: Vec<State>,
    /// Of this occasion.
    #[arg(long, value_name = "OCCASION")]
    occasion: Option<Occasion>,
    /// All that the filter names. Needed to change notices without naming their keys.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum GuardCommand {
    /// Lists what waits. Exit code 3 if anything does.
    Show,
    /// Lets it pass: the next walk applies what changed.
    Accept {
        /// Only of this source.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
    /// Rejects it: messages go out as the list stood before, until the source says something else than what was rejected.
    Reject {
        /// Only of this source.
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum RepliesCommand {
    /// Lists the texts, the oldest first. Exit code 3 if there are any.
    List,
    /// Marks them as read: they are listed no more.
    Read {
        /// Keys of the list.
        #[arg(required = true)]
        keys: Vec<NoticeKey>,
    },
}

#[derive(Debug, Subcommand)]
enum SuppressCommand {
    /// Lists the addresses, masked, the newest first.
    List,
    /// Adds an address.
    Add {
        /// An e-mail address or a telephone number; `-`: read from standard input, so that the list of processes does not show it.
        address: String,
        /// Why.
        #[arg(long, value_enum, default_value_t = SuppressKind::OptedOut, value_name = "WHY")]
        kind: SuppressKind,
    },
    /// Removes an address.
    Remove {
        /// An e-mail address, a telephone number, or a key of the list; `-`: read from standard input.
        address: String,
    },
    /// Takes over the list of an older store that is not sealed, while no daemon runs; makes the new store if there is none yet.
    Import {
        /// The older store's file.
        file: PathBuf,
    },
}

/// Why an address gets no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SuppressKind {
    /// The person asked for no more.
    #[value(name = "opted_out")]
    OptedOut,
    /// Mail to it comes back.
    Bounced,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Recomputes the chain over all rows. Exit code 3 if a row was changed or is missing.
    Verify {
        /// Hold it against this earlier head too. Default: the one that the daemon noted beside the store.
        #[arg(long, value_name = "ROW:LINK")]
        anchor: Option<Anchor>,
    },
    /// Prints the rows, oldest first. Addresses are masked.
    Export {
        /// Only of this session: its delivery record.
        #[arg(long, value_name = "ID")]
        session: Option<i64>,
        /// What to print.
        #[arg(long, value_enum, default_value_t = LedgerFormat::Jsonl)]
        format: LedgerFormat,
    },
}

/// What `ledger export` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LedgerFormat {
    /// One object a line.
    Jsonl,
    /// For a spreadsheet: nothing in it is taken for a formula.
    Csv,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Adds a user, or gives one another password or role. Asks for the password, or reads it from standard input.
    Add {
        /// What they log in with: a-z, 0-9 and . _ -
        name: Name,
        /// What they may do.
        #[arg(long, value_enum, value_name = "ROLE", default_value_t = UserRole::Viewer)]
        role: UserRole,
    },
    /// Asks a user for the code of an authenticator app too: prints what the app reads, this once. Another call makes another secret.
    Totp {
        /// Who.
        name: Name,
        /// Asks for the password alone again.
        #[arg(long)]
        off: bool,
    },
    /// Removes a user, and logs them out.
    Remove {
        /// Who.
        name: Name,
    },
    /// Lists the users.
    List,
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UserRole {
    /// Look at everything but codes and contacts.
    Viewer,
    /// Also decide about notices, and reveal.
    Operator,
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Viewer => Self::Viewer,
            UserRole::Operator => Self::Operator,
        }
    }
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Makes a token, and prints it this once.
    Add {
        /// What the ledger calls it: a-z, 0-9 and . _ -
        name: Name,
        /// What it may do. May be given several times.
        #[arg(long, value_enum, value_name = "SCOPE", required = true)]
        scope: Vec<TokenScope>,
    },
    /// Removes a token: it is refused from now on.
    Remove {
        /// Which.
        name: Name,
    },
    /// Lists the tokens, without themselves.
    List,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TokenScope {
    /// Read what the API tells.
    Read,
    /// Act: on notices, the guard, the suppression list.
    Write,
    /// Push sessions to any source of kind push.
    Push,
}

impl From<TokenScope> for Scope {
    fn from(scope: TokenScope) -> Self {
        match scope {
            TokenScope::Read => Self::Read,
            TokenScope::Write => Self::Write,
            TokenScope::Push => Self::Push,
        }
    }
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints the configuration as it holds: defaults filled in, secrets masked.
    Print,
    /// Prints the JSON Schema of the configuration file.
    Schema,
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
    let cli = Cli::parse();
    let config = match config_for(&cli) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let usual = if matches!(cli.command, Command::Demo(_) | Command::Simulate(_)) { "warn" } else { config.raw.log.level.as_str() };
    let level = cli.log.clone().unwrap_or_else(|| usual.to_owned());
    if let Err(why) = start_logging(&level, config.raw.log.format, cli.color) {
        eprintln!("--log: {why}");
        return ExitCode::from(2);
    }
    match dispatch(&cli, config) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // A reader that has seen enough (`ledger export | head`) is no failure.
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            eprintln!("punctual: {error:#}");
            if error.is::<Usage>() {
                ExitCode::from(WRONG_USAGE)
            } else if error.is::<Mistakes>() {
                ExitCode::from(BAD_CONFIGURATION)
            } else if error.is::<crate::outbox::StoreError>() {
                ExitCode::from(STORE_FAILED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
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
        _ => config::load(cli.config.as_deref()).inspect(|config| say_which(cli, config)),
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

fn dispatch(cli: &Cli, config: Config) -> anyhow::Result<Exit> {
    let colors = table::Look::new(cli.color, cli.wide, cli.utc);
    match &cli.command {
        Command::Run(args) => run::run(config, args.once, || config_for(cli).map_err(|mistakes| mistakes.to_string())),
        Command::Preview(args) => preview::preview(config, args, cli.json, colors),
        Command::Check { online, offline, name_server } => {
            let reach = if *offline {
                check::Reach::Nowhere
            } else if *online {
                check::Reach::Everywhere { name_server: *name_server }
            } else {
                check::Reach::Sources
            };
            check::check(config, reach, cli.json)
        }
        Command::Status => status::status(config, cli.json, colors),
        Command::Simulate(args) => simulate::simulate(config, args, cli.json, colors),
        Command::Shadow(args) => shadow::shadow(config, args, cli.json, colors),
        Command::Diff(args) => diff::diff(args, cli.json, colors),
        Command::Unreachable => unreachable::unreachable(config, cli.json, colors),
        Command::Replies(command) => replies::replies(config, command, cli.json, colors),
        Command::Digest { send } => digest::digest(config, *send, cli.json),
        Command::Why(args) => why::why(config, args, cli.json),
        Command::Outbox(command) => outbox::outbox(config, command, cli.json, colors),
        Command::Remind(args) => remind::remind(config, args, cli.json),
        Command::Guard(command) => guard::guard(config, command, cli.json, colors),
        Command::Suppress(command) => suppress::suppress(config, command, cli.json, colors),
        Command::Bounce => bounce::bounce(config),
        Command::Ledger(command) => ledger::ledger(config, command, cli.json),
        Command::Backup { to } => backup::backup(config, to, cli.json),
        Command::Prune => prune::prune(config, cli.json),
        Command::User(command) => accounts::user(&config, command, cli.json, colors),
        Command::Token(command) => accounts::token(&config, command, cli.json, colors),
        Command::SendTest { to } => send_test::send_test(config, to, cli.json),
        Command::Config(ConfigCommand::Print) => configuration::print(&config, cli.json),
        Command::Config(ConfigCommand::Schema) => configuration::schema(),
        Command::Init(args) => init::init(args),
        Command::Demo(args) => demo::demo(args, colors),
        Command::Completions { shell } => Ok(configuration::completions(*shell)),
        Command::Man { dir } => configuration::man(dir.as_deref()),
    }
}

/// Logs go to standard error. Only our own lines pass, at every level: what libraries log may hold addresses.
fn start_logging(level: &str, format: config::raw::LogFormat, color: Color) -> Result<(), String> {
    use std::io::IsTerminal;
    use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    use tracing_subscriber::util::SubscriberInitExt;
    let asked = EnvFilter::try_new(level).map_err(|e| format!("{level:?} is no log level or filter: {e}"))?;
    let ours = filter_fn(|meta| meta.target().split("::").next() == Some("punctual"));
    let ansi = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    let layer = match format {
        config::raw::LogFormat::Text => lines.with_target(false).boxed(),
        config::raw::LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(asked.and(ours))).try_init().map_err(|e| e.to_string())
}

/// `0.1.0 (tzdata 2026f, built in; SQLite 3.54.1)`
fn version() -> &'static str {
    use std::sync::OnceLock;
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let zones = crate::zone::Zones::load(&crate::zone::Settings::default());
        let data = zones.map_or_else(|_| "unknown".to_owned(), |z| format!("{}, {}", z.data().version, z.data().origin));
        format!("{} (tzdata {data}; SQLite {})", env!("CARGO_PKG_VERSION"), rusqlite::version())
    })
}

/// An argument that every account of this machine could read in the list of processes: `-` stands for one line of standard input.
fn typed(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// An address as typed: also a number that no numbering plan has.
fn address(raw: &str, config: &Config) -> anyhow::Result<Address> {
    Address::possible(raw, &config.policy.region).map_err(|why| anyhow::anyhow!("the address cannot be used: {why}"))
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
