//! Whether a list that lies on one machine is an older copy of what was read on another one.
//!
//! In: what was read here, and what the store keeps of what was read there. Out: what of it is older, if anything. A file is older if it says something
//! else and was written before. A folder is compared file by file, so that a new file in it hides no old one. Of files nothing is kept but digests, of
//! their names too: a name may be a person's.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

use super::same::{Part, Print, digest};

/// Of a larger folder, those that were written last are kept: 27 KB of text.
const FILES_MAX: usize = 1000;
/// Bytes of a file: of its name's digest, its time, and its own digest.
const FILE_SIZE: usize = 8 + 4 + 8;
/// Files that are named.
const NAMED_MAX: usize = 3;

/// The first bytes of a digest.
type Mark = [u8; 8];

/// What a file, or a folder of them, said on the machine where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCopy {
    /// When the newest of its files was written, by the clock of where it lies.
    pub written: DateTime<Utc>,
    /// Of all that it says, whatever the files are called.
    all: Mark,
    /// `None`: it is a file, or larger than it can be kept.
    folder: Option<Folder>,
}

/// Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Folder {
    /// When a file came to it or left it last.
    changed: u32,
    /// By the digest of their names.
    files: BTreeMap<Mark, Dated>,
}

/// A file of a folder. All 0: it could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Dated {
    written: u32,
    said: Mark,
}

impl Dated {
    fn is_used(self) -> bool {
        self != Self::default()
    }
}

/// What shows that it is an older copy.
#[derive(Debug, PartialEq, Eq)]
pub enum Older {
    /// All of it was written before that time.
    List(DateTime<Utc>),
    Folder {
        /// Names of files that say something else, and were written before those of there.
        files: Vec<String>,
        /// Names of files that did not lie there any more.
        taken_out: Vec<String>,
        /// How many lay there, and do not lie here.
        missing: usize,
    },
}

impl ListCopy {
    /// `None`: it is no file. (A clock that was ahead dates nothing for ever.)
    pub fn of(print: &Print, now: DateTime<Utc>) -> Option<Self> {
        let most = now.timestamp();
        let newest = print.parts.iter().filter_map(|part| part.mark).map(|mark| mark.written.0).max();
        if newest.is_none() && print.folder.is_none() {
            return None;
        }
        let all = print.parts.iter().fold(Sha256::new(), |all, part| all.chain_update(part.digest.unwrap_or_default())).finalize();
        let dated = |part: &Part| (named(part), dated(part, most));
        let folder =
            print.folder.map(|changed| Folder { changed: seconds(changed.min(most)), files: print.parts.iter().map(dated).collect() });
        Some(Self { written: DateTime::from_timestamp(newest.unwrap_or_default().min(most), 0)?, all: first(&all), folder })
    }

    /// Of files that could not be used now, what was known of them before.
    #[must_use]
    pub fn with_files_of(mut self, before: Option<&Self>) -> Self {
        if let (Some(folder), Some(before)) = (&mut self.folder, before.and_then(|before| before.folder.as_ref())) {
            let unused = folder.files.iter_mut().filter(|(_, file)| !file.is_used());
            unused.for_each(|(name, file)| *file = before.files.get(name).copied().unwrap_or_default());
        }
        self
    }

    /// For the store, beside the time: sixteen hexadecimal digits, of a folder also base64.
    pub fn said(&self) -> String {
        let all = HEXLOWER.encode(&self.all);
        let Some(folder) = &self.folder else { return all };
        let mut files: Vec<_> = folder.files.iter().collect();
        files.sort_by_key(|(_, file)| std::cmp::Reverse(file.written));
        let mut bytes = folder.changed.to_be_bytes().to_vec();
        for (name, file) in files.into_iter().take(FILES_MAX) {
            bytes.extend(name.iter().copied().chain(file.written.to_be_bytes()).chain(file.said));
        }
        format!("{all} {}", BASE64.encode(&bytes))
    }

    /// What the store holds. Of a folder that an earlier version noted there is the time of its newest file alone.
    pub fn noted(written: DateTime<Utc>, said: &str) -> Self {
        let (all, folder) = said.split_once(' ').unwrap_or((said, ""));
        let all = HEXLOWER.decode(all.as_bytes()).unwrap_or_default();
        Self { written, all: first(&all), folder: BASE64.decode(folder.as_bytes()).ok().and_then(|bytes| Folder::of(&bytes)) }
    }

    /// Both say the same.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Folder {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (changed, rest) = bytes.split_first_chunk::<4>()?;
        let file =
            |bytes: &[u8]| Dated { written: u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]), said: first(&bytes[12..]) };
        let files = rest.chunks_exact(FILE_SIZE).map(|bytes| (first(bytes), file(bytes))).collect();
        Some(Self { changed: u32::from_be_bytes(*changed), files })
    }

    /// When something in it changed last.
    fn newest(&self) -> u32 {
        self.files.values().map(|file| file.written).max().unwrap_or_default().max(self.changed)
    }
}

/// Whether what was read here is older than `there`, which another machine read at that time for the last time. Times count as the same within `skew`:
/// clocks of machines may be apart, and the same list may have been written to each by itself.
///
/// - A file of a folder that says what some file said there is not older, whatever it is called, and whenever it was written.
/// - One that says something else is older if it was written before the one of its name, or, if there was none, before anything changed there last.
/// - One that lay there and does not lie here was taken out, if this folder changed since that time, and after its files came: else it never came here,
///   also if a new one did. A folder without any file is none that others were taken out of: a disk may not be mounted.
pub fn older(print: &Print, (there, read_at): (&ListCopy, DateTime<Utc>), skew: TimeDelta) -> Option<Older> {
    let here = ListCopy::of(print, DateTime::<Utc>::MAX_UTC).filter(|here| !here.says_the_same(there))?;
    let (Some(ours), Some(theirs)) = (&here.folder, &there.folder) else {
        return (here.written < there.written - skew).then_some(Older::List(there.written));
    };
    let before = |ours: u32, theirs: u32| TimeDelta::seconds(i64::from(theirs) - i64::from(ours)) > skew;
    let said_by = |folder: &Folder| folder.files.values().map(|file| file.said).collect::<HashSet<Mark>>();
    let (said_here, said_there) = (said_by(ours), said_by(theirs));
    // Of a larger folder not all are known.
    let all_known = theirs.files.len() < FILES_MAX;
    let (mut files, mut taken_out) = (Vec::new(), Vec::new());
    for part in &print.parts {
        let file = dated(part, i64::MAX);
        match theirs.files.get(&named(part)) {
            _ if !file.is_used() || said_there.contains(&file.said) => {}
            Some(of_there) if before(file.written, of_there.written) => files.push(part.name.clone()),
            None if all_known && before(file.written, theirs.newest()) => taken_out.push(part.name.clone()),
            Some(_) | None => {}
        }
    }
    let last_came = print.parts.iter().filter_map(|part| part.mark).map(|mark| mark.written.0.max(mark.changed.0)).max();
    let was_changed = last_came.is_some_and(|came| ours.changed > seconds(came)) && !before(ours.changed, seconds(read_at.timestamp()));
    let is_missing = |(name, file): &(&Mark, &Dated)| file.is_used() && !ours.files.contains_key(*name) && !said_here.contains(&file.said);
    let missing = if was_changed { 0 } else { theirs.files.iter().filter(is_missing).count() };
    let is_older = !files.is_empty() || !taken_out.is_empty() || missing > 0;
    is_older.then_some(Older::Folder { files, taken_out, missing })
}

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, taken_out, missing) = match self {
            Self::List(written) => return write!(f, "written {}", written.to_rfc3339()),
            Self::Folder { files, taken_out, missing } => (files, taken_out, missing),
        };
        let some = |what: &str, names: &[String]| {
            let more = names.len().saturating_sub(NAMED_MAX);
            let named = names[..names.len() - more].join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            (!names.is_empty()).then(|| format!("{what}: {named}{more}"))
        };
        let missing = (*missing > 0).then(|| format!("files missing here: {missing}"));
        let facts = [some("files older than there", files), some("files that did not lie there any more", taken_out), missing];
        write!(f, "{}", facts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

fn first(bytes: &[u8]) -> Mark {
    let mut mark = Mark::default();
    mark.iter_mut().zip(bytes).for_each(|(mark, byte)| *mark = *byte);
    mark
}

fn named(part: &Part) -> Mark {
    first(&digest(part.name.as_bytes()))
}

fn dated(part: &Part, most: i64) -> Dated {
    let (Some(mark), Some(digest)) = (part.mark, part.digest) else { return Dated::default() };
    Dated { written: seconds(mark.written.0.min(most)), said: first(&digest) }
}

fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::same::FileStamp;

    const NOON: i64 = 1_764_504_000;
    const SKEW: TimeDelta = TimeDelta::seconds(30);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(NOON + seconds, 0).unwrap()
    }

    /// Its name, what it says (0: it cannot be used), and when it was written, in seconds after noon.
    fn part((name, says, written): (&str, i64, i64)) -> Part {
        let written = (NOON + written, 0);
        let mark = FileStamp { file: (1, 1), size: 1, written, changed: written, settled: true };
        Part { name: name.to_owned(), mark: Some(mark), digest: (says != 0).then(|| digest(&says.to_be_bytes())) }
    }

    /// When it was changed besides.
    fn folder(files: &[(&str, i64, i64)], changed: i64) -> Print {
        Print { parts: files.iter().copied().map(part).collect(), folder: Some(NOON + changed) }
    }

    /// A node has `here`, and another one read `there` at that time.
    fn is_older(here: &Print, there: &Print, read_at: i64) -> Option<String> {
        let there = ListCopy::of(there, at(99_999)).unwrap();
        let noted = ListCopy::noted(there.written, &there.said());
        assert_eq!(noted, there, "the store holds all of it");
        older(here, (&noted, at(read_at)), SKEW).map(|older| older.to_string())
    }

    #[test]
    fn a_list_is_older_by_its_time() {
        let file = |says, written| Print { parts: vec![part(("list", says, written))], folder: None };
        for (says, written, expected) in [
            (1, -31, Some("written 2025-11-30T12:00:00+00:00")),
            (1, -30, None), // clocks that are apart
            (1, 5, None),
            (2, -9_000, None), // a copy that kept another time
        ] {
            assert_eq!(is_older(&file(says, written), &file(2, 0), 60).as_deref(), expected, "{says} {written}");
        }
    }

    #[test]
    fn a_folder_is_compared_file_by_file() {
        let there = folder(&[("a.json", 1, 0), ("b.json", 2, 100)], 200);
        let of = |files: &[(&str, i64, i64)], changed| is_older(&folder(files, changed), &there, 1000);
        let old = |why: &str| Some(why.to_owned());
        let (a, b) = (("a.json", 1, 0), ("b.json", 2, 100));
        // The same bytes, whenever they were written.
        assert_eq!(of(&[("a.json", 1, -500), ("b.json", 2, -500)], -500), None);
        assert_eq!(of(&[("other.json", 1, -500), b], -500), None);
        // Others, by the time of that file alone.
        assert_eq!(of(&[a, ("b.json", 3, 70)], 2000), None);
        assert_eq!(of(&[a, ("b.json", 3, 69), ("c.json", 4, 5000)], 5000), old("files older than there: b.json"));
        // A file more.
        assert_eq!(of(&[a, b, ("c.json", 4, 170)], 5000), None);
        assert_eq!(of(&[a, b, ("c.json", 4, 169)], 5000), old("files that did not lie there any more: c.json"));
        // A file less: taken out since the other node read it, or never here.
        assert_eq!(of(&[a], 970), None);
        assert_eq!(of(&[a], 969), old("files missing here: 1"));
        assert_eq!(of(&[a, ("c.json", 4, 5000)], 5001), None);
        assert_eq!(of(&[a, ("c.json", 4, 5000)], 5000), old("files missing here: 1"), "it changed because the new one came");
        assert_eq!(of(&[], 5000), old("files missing here: 2"), "a disk that is not mounted");
        // One that cannot be used says nothing, and lies there.
        assert_eq!(of(&[a, ("b.json", 0, 0)], 0), None);
        let many = ["1.json", "2.json", "3.json", "4.json", "5.json"].map(|name| (name, 7, -900));
        let why = "files that did not lie there any more: 1.json, 2.json, 3.json and 2 more; files missing here: 2";
        assert_eq!(of(&many, -900), old(why));
    }

    #[test]
    fn of_a_file_that_could_not_be_used_there_counts_what_it_said_before() {
        let before = ListCopy::of(&folder(&[("a.json", 1, 0), ("b.json", 2, 0)], 0), at(0)).unwrap();
        let there = ListCopy::of(&folder(&[("a.json", 1, 0), ("b.json", 0, 300), ("c.json", 0, 300)], 300), at(300)).unwrap();
        let there = there.with_files_of(Some(&before));
        let of = |file: (&'static str, i64, i64)| {
            let here = folder(&[("a.json", 1, 0), file], 401);
            older(&here, (&there, at(400)), SKEW).is_some()
        };
        assert_eq!([of(("b.json", 2, 0)), of(("b.json", 3, -31)), of(("c.json", 3, -31))], [false, true, false]);
    }

    #[test]
    fn what_an_earlier_version_noted_is_the_time_of_all() {
        let noted = ListCopy::noted(at(0), "00112233aabbccdd");
        let of = |written| older(&folder(&[("a.json", 1, written)], 900), (&noted, at(900)), SKEW);
        assert_eq!((of(-30), of(-31)), (None, Some(Older::List(at(0)))));
    }

    #[test]
    fn of_a_large_folder_the_newest_files_are_kept() {
        let numbered = |n: i64| part((&format!("{n}.json"), n + 1, n));
        let print = Print { parts: (0..2000).map(numbered).collect(), folder: Some(NOON) };
        let there = ListCopy::of(&print, at(99_999)).unwrap();
        let said = there.said();
        assert!(said.len() < 27_000, "{} bytes", said.len());
        let noted = ListCopy::noted(there.written, &said);
        let files = &noted.folder.as_ref().unwrap().files;
        assert_eq!((files.len(), files.values().map(|file| file.written).min()), (FILES_MAX, Some(seconds(NOON + 1000))));
        assert_eq!(older(&print, (&noted, at(5000)), SKEW), None);
        let more = Print { parts: print.parts.iter().cloned().chain([part(("more.json", 9999, 0))]).collect(), ..print };
        assert_eq!(older(&more, (&noted, at(5000)), SKEW), None, "it may be one of those that are not kept");
    }
}
