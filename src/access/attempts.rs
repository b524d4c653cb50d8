//! How often a log-in may be tried: for each name and each address, so many in a quarter of an hour. Pure: `now` is an argument.
//!
//! An attempt counts when it begins, so that many at once gain nothing. A name that is locked is locked for everyone but the browsers that logged in
//! with it before, each of which has as many tries of its own: guessing one password from many addresses is stopped, and whoever guesses keeps nobody
//! out. A success gives back what it cost. Nobody is refused for want of room: what was tried longest ago is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

/// Of one name, or from one browser that is known.
const PER_NAME: u32 = 10;
/// From one address: a whole practice may stand behind one.
const PER_ADDRESS: u32 = 30;
/// So far back failed tries count.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Names and addresses that are remembered, each: a megabyte or so.
const REMEMBERED: usize = 10_000;

/// What was tried of late.
#[derive(Debug, Default)]
pub struct LoginAttempts {
    names: HashMap<String, Tries>,
    addresses: HashMap<IpAddr, Tries>,
    browsers: HashMap<String, Tries>,
}

/// Tries since then.
#[derive(Debug, Clone, Copy)]
struct Tries {
    count: u32,
    since: DateTime<Utc>,
}

/// How often each of these may be tried within [`WINDOW`], over all nodes: a name and an address, or a browser.
pub fn limits(name: &str, from: IpAddr, browser: Option<&str>) -> Vec<(String, u32)> {
    match browser {
        Some(browser) => vec![(format!("browser {browser}"), PER_NAME)],
        None => vec![(format!("name {name}"), PER_NAME), (format!("address {}", network(from)), PER_ADDRESS)],
    }
}

impl LoginAttempts {
    /// One begins. `browser`: one that logged in with this name before.
    ///
    /// # Errors
    /// Not now: how long to wait.
    pub fn begin(&mut self, name: &str, from: IpAddr, browser: Option<&str>, now: DateTime<Utc>) -> Result<(), TimeDelta> {
        if let Some(browser) = browser {
            room(&self.browsers, browser, PER_NAME, now)?;
            count(&mut self.browsers, browser.to_owned(), now);
            return Ok(());
        }
        let from = network(from);
        room(&self.names, name, PER_NAME, now)?;
        room(&self.addresses, &from, PER_ADDRESS, now)?;
        count(&mut self.names, name.to_owned(), now);
        count(&mut self.addresses, from, now);
        Ok(())
    }

    /// It was the right password.
    pub fn succeeded(&mut self, name: &str, from: IpAddr, browser: Option<&str>) {
        if let Some(browser) = browser {
            self.browsers.remove(browser);
            return;
        }
        self.names.remove(name);
        if let Some(tries) = self.addresses.get_mut(&network(from)) {
            tries.count = tries.count.saturating_sub(1);
        }
    }
}

fn room<K, Q>(tried: &HashMap<K, Tries>, key: &Q, limit: u32, now: DateTime<Utc>) -> Result<(), TimeDelta>
where
    K: std::hash::Hash + Eq + std::borrow::Borrow<Q>,
    Q: std::hash::Hash + Eq + ?Sized,
{
    match tried.get(key) {
        Some(tries) if now - tries.since < WINDOW && tries.count >= limit => Err(WINDOW - (now - tries.since)),
        _ => Ok(()),
    }
}

fn count<K: std::hash::Hash + Eq + Clone>(tried: &mut HashMap<K, Tries>, key: K, now: DateTime<Utc>) {
    if tried.len() >= REMEMBERED && !tried.contains_key(&key) {
        tried.retain(|_, tries| now - tries.since < WINDOW);
        if tried.len() >= REMEMBERED
            && let Some(oldest) = tried.iter().min_by_key(|(_, tries)| tries.since).map(|(key, _)| key.clone())
        {
            tried.remove(&oldest);
        }
    }
    let tries = tried.entry(key).or_insert(Tries { count: 0, since: now });
    if now - tries.since >= WINDOW {
        *tries = Tries { count: 0, since: now };
    }
    tries.count += 1;
}

/// One IPv6 customer has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(n)
    }

    fn address(n: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, n])
    }

    #[test]
    fn a_name_is_guessed_ten_times_from_wherever() {
        let mut attempts = LoginAttempts::default();
        for n in 0..10 {
            assert_eq!(attempts.begin("jane", address(n), None, minute(0)), Ok(()));
        }
        assert_eq!(attempts.begin("jane", address(99), None, minute(5)), Err(TimeDelta::minutes(10)));
        assert_eq!(attempts.begin("joe", address(0), None, minute(5)), Ok(()), "another name");
        assert_eq!(attempts.begin("jane", address(99), None, minute(15)), Ok(()), "after a quarter of an hour");
    }

    #[test]
    fn an_address_guesses_thirty_times_whoever_it_names() {
        let mut attempts = LoginAttempts::default();
        for n in 0..30 {
            assert_eq!(attempts.begin(&format!("user{n}"), address(1), None, minute(0)), Ok(()));
        }
        assert!(attempts.begin("jane", address(1), None, minute(1)).is_err());
        assert_eq!(attempts.begin("jane", address(2), None, minute(1)), Ok(()));
    }

    #[test]
    fn a_success_is_given_back() {
        let mut attempts = LoginAttempts::default();
        for _ in 0..100 {
            assert_eq!(attempts.begin("jane", address(1), None, minute(0)), Ok(()));
            attempts.succeeded("jane", address(1), None);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_memory_is_bounded() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:203.0.113.1"), address(1));
        let mut attempts = LoginAttempts::default();
        for n in 0..20_000_u32 {
            let from = IpAddr::from((n + 1).to_be_bytes());
            assert_eq!(attempts.begin(&n.to_string(), from, None, minute(0)), Ok(()), "nobody is refused for want of room");
        }
        assert!(attempts.names.len() <= REMEMBERED && attempts.addresses.len() <= REMEMBERED);
        assert_eq!(attempts.begin("jane", address(1), None, minute(1)), Ok(()));
    }

    #[test]
    fn who_logged_in_here_before_is_not_kept_out_by_the_guesses_of_others() {
        let mut attempts = LoginAttempts::default();
        for n in 0..10 {
            attempts.begin("jane", address(n), None, minute(0)).unwrap();
        }
        assert!(attempts.begin("jane", address(1), None, minute(1)).is_err());
        for _ in 0..10 {
            assert_eq!(attempts.begin("jane", address(1), Some("hers"), minute(1)), Ok(()));
        }
        assert!(attempts.begin("jane", address(1), Some("hers"), minute(1)).is_err(), "a stolen browser guesses no more often");
        assert_eq!(attempts.begin("jane", address(1), Some("another"), minute(1)), Ok(()));
        attempts.succeeded("jane", address(1), Some("hers"));
        assert_eq!(attempts.begin("jane", address(1), Some("hers"), minute(1)), Ok(()));
    }
}
