//! Arguments, as they are typed.

use std::ffi::OsString;

use super::Usage;
use crate::config::Config;
use crate::contact::Address;

/// An argument that every account of this machine could read in the list of processes: `-` stands for one line of standard input.
pub(super) fn typed(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// An address as typed: also a number that no numbering plan has.
pub(super) fn address(raw: &str, config: &Config) -> anyhow::Result<Address> {
    if !raw.contains('@') && !raw.contains(|c: char| c.is_ascii_digit()) {
        return Err(Usage(format!("{raw:?} is neither an e-mail address nor a telephone number")).into());
    }
    Address::possible(raw, &config.policy.region).map_err(|why| Usage(format!("the address cannot be used: {why}")).into())
}

/// `--color never` was typed: help is made before anything else is read.
pub(super) fn wants_no_colors(typed: impl Iterator<Item = OsString>) -> bool {
    let typed: Vec<OsString> = typed.take_while(|word| word != "--").collect();
    typed.iter().any(|word| word == "--color=never") || typed.windows(2).any(|pair| pair[0] == "--color" && pair[1] == "never")
}

/// `0.1.0 (tzdata 2026f, built in; SQLite 3.54.1)`. The daemon, which says it nowhere, does not read all zones for it.
pub(super) fn version() -> &'static str {
    use std::sync::OnceLock;
    static VERSION: OnceLock<String> = OnceLock::new();
    let asked = |word: &str| std::env::args_os().any(|arg| arg == word);
    if asked("run") && !asked("--version") && !asked("-V") {
        return env!("CARGO_PKG_VERSION");
    }
    VERSION.get_or_init(|| {
        let zones = crate::zone::Zones::load(&crate::zone::Settings::default());
        let data = zones.map_or_else(|_| "unknown".to_owned(), |z| format!("{}, {}", z.data().version, z.data().origin));
        format!("{} (tzdata {data}; SQLite {})", env!("CARGO_PKG_VERSION"), rusqlite::version())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_of_the_help_too() {
        for (typed, wanted) in [
            ("punctual --color never --help", true),
            ("punctual why --color=never --help", true),
            ("punctual --color always --help", false),
            ("punctual --help", false),
            ("punctual why -- --color never", false),
        ] {
            assert_eq!(wants_no_colors(typed.split(' ').map(OsString::from)), wanted, "{typed}");
        }
    }
}
