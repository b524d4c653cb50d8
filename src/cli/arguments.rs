//! Arguments, as they are typed.

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
        anyhow::bail!("{raw:?} is neither an e-mail address nor a telephone number");
    }
    Address::possible(raw, &config.policy.region).map_err(|why| anyhow::anyhow!("the address cannot be used: {why}"))
}
