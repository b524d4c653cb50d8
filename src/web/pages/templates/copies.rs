//! The practice's own copies of templates, in the folder of `[templates] dir`, and what they said before.
//!
//! In: the path of a template that the program knows, and its text. Out: a file, whole at every moment: written beside, synced, and put in its place.
//! What stood there before is kept as a version, in the folder `.versions`, which no template is read from. Invariant: nothing is written outside the
//! folder, also where a link leads out of it. Failures: those of the file system.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::render::shipped_templates;
use crate::render::trial::part_of;

/// Earlier texts that are kept of a template; the oldest makes room.
const VERSIONS_MAX: usize = 50;
const VERSIONS: &str = ".versions";
/// How the time stands in the name of a version.
const FORM: &str = "%Y%m%dT%H%M%S%3fZ";

pub(super) struct Copies {
    dir: PathBuf,
}

pub(super) struct Version {
    /// The name of its file.
    pub(super) id: String,
    /// Until when it stood there.
    pub(super) until: DateTime<Utc>,
    /// Who put another one in its place.
    pub(super) by: String,
}

/// What came with the program.
pub(super) fn shipped(file: &str) -> Option<&'static str> {
    shipped_templates().into_iter().find(|(name, _)| *name == file).map(|(_, text)| text)
}

impl Copies {
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The templates that there are: those that came with the program, and the practice's own; with whether it has its own copy.
    pub(super) fn all(&self) -> io::Result<Vec<(String, bool)>> {
        let mut own = Vec::new();
        let mut folders = vec![self.dir.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder)?.flatten().map(|entry| entry.path()) {
                if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file()
                    && let Ok(below) = path.strip_prefix(&self.dir)
                {
                    own.push(below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"));
                }
            }
        }
        let shipped = shipped_templates().into_iter().map(|(name, _)| name.to_owned()).filter(|name| !own.contains(name));
        let mut all: Vec<(String, bool)> = shipped.map(|name| (name, false)).collect();
        all.extend(own.into_iter().filter(|name| part_of(name).is_some()).map(|name| (name, true)));
        all.sort();
        Ok(all)
    }

    /// There is a template of that name: what is asked for is one of a list, and never a path to be followed.
    fn knows(&self, file: &str) -> io::Result<bool> {
        Ok(self.all()?.iter().any(|(name, _)| name == file))
    }

    /// What a template says now. `None`: there is none of that name.
    pub(super) fn text(&self, file: &str) -> io::Result<Option<String>> {
        if !self.knows(file)? {
            return Ok(None);
        }
        match fs::read_to_string(self.dir.join(file)) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(shipped(file).map(str::to_owned)),
            Err(e) => Err(e),
        }
    }

    /// Has a template say that; what came with the program needs no copy. What it said before becomes a version.
    pub(super) fn save(&self, file: &str, text: &str, by: &str, now: DateTime<Utc>) -> io::Result<()> {
        let Some(before) = self.text(file)? else { return Err(io::Error::from(io::ErrorKind::NotFound)) };
        let kept = Path::new(VERSIONS).join(file);
        self.write(&kept.join(format!("{}-{by}", now.format(FORM))), &before)?;
        for old in self.versions(file)?.into_iter().skip(VERSIONS_MAX) {
            fs::remove_file(self.dir.join(&kept).join(old.id))?;
        }
        if shipped(file) == Some(text) {
            return match fs::remove_file(self.dir.join(file)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            };
        }
        self.write(Path::new(file), text)
    }

    /// What it said before, the latest first.
    pub(super) fn versions(&self, file: &str) -> io::Result<Vec<Version>> {
        if !self.knows(file)? {
            return Ok(Vec::new());
        }
        let folder = match fs::read_dir(self.dir.join(VERSIONS).join(file)) {
            Ok(folder) => folder,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut all: Vec<Version> = folder.flatten().filter_map(|entry| version(&entry.file_name().to_string_lossy())).collect();
        all.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(all)
    }

    pub(super) fn version(&self, file: &str, id: &str) -> io::Result<Option<String>> {
        if !self.versions(file)?.iter().any(|version| version.id == id) {
            return Ok(None);
        }
        fs::read_to_string(self.dir.join(VERSIONS).join(file).join(id)).map(Some)
    }

    /// Whole, or not at all; durable when it returns.
    fn write(&self, below: &Path, text: &str) -> io::Result<()> {
        let path = self.dir.join(below);
        let folder = path.parent().unwrap_or(&self.dir);
        // Looked at before a folder is made: a link would have it made elsewhere.
        let there = folder.ancestors().find(|above| above.exists()).unwrap_or(&self.dir);
        if !there.canonicalize()?.starts_with(self.dir.canonicalize()?) {
            return Err(io::Error::other("a link in it leads to another folder"));
        }
        fs::create_dir_all(folder)?;
        let part = folder.join(format!(".{}.part", path.file_name().unwrap_or_default().to_string_lossy()));
        // Left over by a process that ended meanwhile; and a link there would be followed.
        fs::remove_file(&part).ok();
        let written = File::options().write(true).create_new(true).open(&part).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        if let Err(e) = written.and_then(|()| fs::rename(&part, &path)) {
            fs::remove_file(&part).ok();
            return Err(e);
        }
        File::open(folder)?.sync_all()
    }
}

/// Of the name of its file.
fn version(id: &str) -> Option<Version> {
    let (until, by) = id.split_once('-')?;
    let until = NaiveDateTime::parse_from_str(until, FORM).ok()?.and_utc();
    Some(Version { id: id.to_owned(), until, by: by.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "en-US/invite/sms.txt";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_950_000 + second, 0).unwrap()
    }

    #[test]
    fn what_stood_there_is_kept_and_what_came_with_the_program_needs_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::of(folder.path());
        let first = shipped(FILE).unwrap();
        assert_eq!(copies.text(FILE).unwrap().as_deref(), Some(first));
        copies.save(FILE, "one", "jane", at(1)).unwrap();
        copies.save(FILE, "two", "kim-2", at(2)).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "two");
        let said: Vec<_> =
            copies.versions(FILE).unwrap().into_iter().map(|v| (v.until, v.by, copies.version(FILE, &v.id).unwrap().unwrap())).collect();
        assert_eq!(said, [(at(2), "kim-2".to_owned(), "one".to_owned()), (at(1), "jane".to_owned(), first.to_owned())]);
        copies.save(FILE, first, "jane", at(3)).unwrap();
        assert!(!folder.path().join(FILE).exists() && copies.versions(FILE).unwrap().len() == 3);
        for n in 4..80 {
            copies.save(FILE, "more", "jane", at(n)).unwrap();
        }
        assert_eq!(copies.versions(FILE).unwrap().len(), VERSIONS_MAX);
        assert!(copies.version(FILE, "../../../sms.txt").unwrap().is_none());
        assert!(copies.all().unwrap().contains(&(FILE.to_owned(), true)) && copies.all().unwrap().len() == shipped_templates().len());
    }

    #[test]
    fn nothing_is_written_elsewhere() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let copies = Copies::of(folder.path());
        for file in [
            "../x.txt",
            "../invite/sms.txt",
            "/etc/passwd",
            "en-US/invite/../../../x",
            "en-US/invite/other.txt",
            "",
            ".versions/en-US/invite/sms.txt",
        ] {
            assert!(
                copies.text(file).unwrap().is_none()
                    && copies.versions(file).unwrap().is_empty()
                    && copies.save(file, "x", "jane", at(1)).is_err(),
                "{file}"
            );
        }
        std::os::unix::fs::symlink(other.path(), folder.path().join("en-US")).unwrap();
        assert!(copies.save(FILE, "x", "jane", at(1)).unwrap_err().to_string().contains("another folder"));
        assert_eq!(other.path().join("invite").read_dir().map_or(0, Iterator::count), 0);
    }
}
