//! From a source's id to a zone: the practice's own mappings, CLDR's Windows ids, IANA names, and the fallback.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use super::database::Database;
use super::windows::WindowsIds;
use super::{TzData, Zone};

/// A source's id, resolved.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub zone: Zone,
    /// The id was not usable, and the practice's fallback zone stands in: messages say so.
    pub fallback: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `[practice] fallback_time_zone`: a Windows id or IANA name. `None`: an id that names no zone is its participant's fault.
    pub fallback: Option<String>,
    /// `[time_zones]`: a source's id (in any case) to another zone (Windows id or IANA name). A target is not mapped again.
    pub map: BTreeMap<String, String>,
}

/// Every zone that the program knows, and the practice's own mappings. Shared by clones, and never changed: a reload loads another.
#[derive(Clone)]
pub struct Zones(Arc<Inner>);

struct Inner {
    database: Database,
    windows: WindowsIds,
    /// By the source's id in lower case.
    map: HashMap<String, Zone>,
    fallback: Option<Zone>,
    digest: String,
    /// Ids that name a zone, as records spelled them: each is asked for again with every message.
    met: RwLock<HashMap<String, Zone>>,
}

/// Spellings that are remembered: a source has a handful.
const MET: usize = 256;

impl Zones {
    /// Loads the newest data of what the program ships and what the host has. Errors: ids in the settings that name no zone, all of them.
    pub fn load(settings: &Settings) -> Result<Self, Vec<String>> {
        Self::build(settings, Database::newest())
    }

    /// As [`load`](Self::load), with these zoneinfo folders in place of the host's.
    pub fn load_from(settings: &Settings, folders: &[PathBuf]) -> Result<Self, Vec<String>> {
        Self::build(settings, Database::newest_of(folders))
    }

    fn build(settings: &Settings, database: Database) -> Result<Self, Vec<String>> {
        let windows = WindowsIds::new();
        let mut errors = Vec::new();
        let mut named = |key: &str, id: &str| find(id, &windows, &database).map_err(|why| errors.push(format!("{key}: {why}"))).ok();
        let fallback = settings.fallback.as_deref().and_then(|id| named("practice.fallback_time_zone", id));
        let targets: Vec<_> = settings.map.iter().map(|(from, to)| (from, named(&format!("time_zones.{from:?}"), to))).collect();
        let mut map = HashMap::new();
        for (from, zone) in targets {
            let key = folded(from);
            if key.is_empty() {
                errors.push("time_zones: an empty id cannot be mapped; practice.fallback_time_zone is for records without one".to_owned());
            } else if let Some(zone) = zone
                && map.insert(key, zone).is_some()
            {
                errors.push(format!("time_zones.{from:?}: the id is mapped twice (case is not regarded)"));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let digest = digest(&database.data, &windows, &map, fallback.as_ref());
        Ok(Self(Arc::new(Inner { database, windows, map, fallback, digest, met: RwLock::default() })))
    }

    /// A Windows id or IANA name, without regard to case; the fallback zone if it is neither and the practice has one.
    /// The error says what is wrong with the id.
    pub fn resolve(&self, id: &str) -> Result<Resolved, String> {
        match (self.lookup(id), &self.0.fallback) {
            (Ok(zone), _) => Ok(Resolved { zone, fallback: false }),
            (Err(_), Some(zone)) => Ok(Resolved { zone: zone.clone(), fallback: true }),
            (Err(why), None) => Err(why),
        }
    }

    /// As [`resolve`](Self::resolve), without the fallback: the error says why it was needed.
    pub fn lookup(&self, id: &str) -> Result<Zone, String> {
        if let Some(zone) = self.0.met.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(zone.clone());
        }
        let zone = match self.0.map.get(&folded(id)) {
            Some(zone) => zone.clone(),
            None => find(id, &self.0.windows, &self.0.database)?,
        };
        let mut met = self.0.met.write().unwrap_or_else(PoisonError::into_inner);
        if met.len() < MET {
            met.insert(id.to_owned(), zone.clone());
        }
        Ok(zone)
    }

    /// Version and origin of the data in use.
    pub fn data(&self) -> &TzData {
        &self.0.database.data
    }

    /// Changes whenever an id may mean another zone or a zone other rules: release, origin, mappings, fallback, CLDR's table.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }
}

impl fmt::Debug for Zones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zones({} {})", self.data().version, self.data().origin)
    }
}

/// IANA names that are abbreviations. In the database they are zones of their own, mostly with a fixed offset; in a patient's record
/// "EST" as likely means New York's time, which is an hour off in summer. Nobody can know, so the practice has to say.
/// (GMT and UTC have one meaning.)
const ABBREVIATIONS: [&str; 11] = ["EST", "MST", "HST", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "CET", "MET", "EET", "WET"];

fn find(id: &str, windows: &WindowsIds, database: &Database) -> Result<Zone, String> {
    let id = id.trim();
    if id.is_empty() {
        return Err("the time zone id is empty".to_owned());
    }
    if ABBREVIATIONS.iter().any(|name| name.eq_ignore_ascii_case(id)) {
        return Err(format!("{} is an abbreviation, which does not say when the clocks change; {EXPECTED}", shown(id)));
    }
    let name = windows.iana(id).unwrap_or(id);
    let zone = Tz::from_str_insensitive(name).ok().and_then(|id| database.zone(id));
    zone.cloned().ok_or_else(|| format!("{} is no time zone id; {EXPECTED}", shown(id)))
}

const EXPECTED: &str = "expected a Windows id such as \"Eastern Standard Time\" or an IANA name such as \"America/New_York\"";

/// Case and surrounding space are not regarded.
fn folded(id: &str) -> String {
    id.trim().to_lowercase()
}

/// An id for an error. Only what looks like one is repeated: a record with its columns mixed up may have a name or an address there.
fn shown(id: &str) -> String {
    let plain = id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b" /_+-.()".contains(&b));
    let few_digits = id.bytes().filter(u8::is_ascii_digit).count() < 5;
    if plain && few_digits && looks_like_an_id(id) { format!("{id:?}") } else { "the text (not shown)".to_owned() }
}

/// `America/Nowhere`, `Easten Standard Time`, `GMT+5`, `EST`, `AEDT`, `EST5EDT`.
fn looks_like_an_id(id: &str) -> bool {
    let id = id.to_ascii_uppercase();
    let ends = |with: &[&str]| with.iter().any(|end| id.ends_with(end));
    id.contains('/') || ends(&[" TIME"]) || id.starts_with("GMT") || id.starts_with("UTC") || (id.len() <= 7 && ends(&["ST", "DT", "ET"]))
}

fn digest(data: &TzData, windows: &WindowsIds, map: &HashMap<String, Zone>, fallback: Option<&Zone>) -> String {
    let mut lines = vec![format!("data\t{}\t{}", data.version, data.origin), format!("fallback\t{}", fallback.map_or("", Zone::name))];
    let sorted: BTreeMap<_, _> = map.iter().collect();
    lines.extend(sorted.iter().map(|(id, zone)| format!("map\t{id:?}\t{}", zone.name())));
    lines.extend(windows.all().map(|(id, name)| format!("windows\t{id}\t{name}")));
    data_encoding::HEXLOWER.encode(&Sha256::digest(lines.join("\n")))
}

#[cfg(test)]
mod tests;
