//! `kind = "file"`: a JSON file, or a folder of them.
//!
//! A folder's files are read in the order of their names. One that cannot be used is a fault of its own, and makes the snapshot partial:
//! what stood in it counts as unchanged, never as gone. A single file that cannot be used is refused whole: the last good snapshot stays.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::json::{self, BODY_MAX};
use super::same::{self, FileStamp, Part, Print, SourceRead};
use crate::session::Snapshot;

#[derive(Debug, Clone)]
pub struct Settings {
    /// A file, or a folder.
    pub path: PathBuf,
}

/// Reads a file or a folder. The error names the file, the place in it, what was found and what was expected.
pub fn read(settings: &Settings) -> Result<Snapshot, String> {
    read_with_progress(settings, &|_, _| {})
}

/// Likewise; `progress` is told files of a folder: read, and all.
pub fn read_with_progress(settings: &Settings, progress: &dyn Fn(u64, u64)) -> Result<Snapshot, String> {
    read_all(settings, DateTime::UNIX_EPOCH, progress).map(|(snapshot, _)| snapshot)
}

/// Reads it, unless it is what it was. `now` is when.
pub fn read_since(settings: &Settings, last: Option<&Print>, now: DateTime<Utc>) -> Result<SourceRead, String> {
    if let Some(last) = last
        && let Some(print) = same_as(settings, last, now)?
    {
        return Ok(SourceRead::Same(print));
    }
    let (snapshot, print) = read_all(settings, now, &|_, _| {})?;
    Ok(SourceRead::Now(snapshot, Some(print)))
}

/// What it is known by now, if it is what it was. Only files whose marks cannot be trusted are read.
fn same_as(settings: &Settings, last: &Print, now: DateTime<Utc>) -> Result<Option<Print>, String> {
    let (folder, files) = (changed_at(&settings.path)?, files(&settings.path)?);
    if files.len() != last.parts.len() {
        return Ok(None);
    }
    let parts = files.iter().zip(&last.parts).map(|(file, before)| part_as(file, before, now)).collect::<Option<Vec<Part>>>();
    Ok(parts.map(|parts| Print { parts, folder }))
}

fn part_as(file: &Path, before: &Part, now: DateTime<Utc>) -> Option<Part> {
    let meta = std::fs::metadata(file).ok().filter(|meta| name(file) == before.name && meta.len() <= BODY_MAX as u64)?;
    let mark = FileStamp::of(&meta, now);
    let same = before.mark.is_some_and(|then| mark.is_same(then))
        || std::fs::read(file).is_ok_and(|bytes| Some(same::digest(&bytes)) == before.digest);
    same.then(|| Part { mark: Some(mark), ..before.clone() })
}

fn read_all(settings: &Settings, now: DateTime<Utc>, progress: &dyn Fn(u64, u64)) -> Result<(Snapshot, Print), String> {
    let path = &settings.path;
    // Known before its files are: of what comes meanwhile it says nothing.
    let folder = changed_at(path)?;
    if folder.is_some() {
        let (snapshot, parts) = read_folder(path, now, progress)?;
        return Ok((snapshot, Print { parts, folder }));
    }
    let (snapshot, part) = read_file(path, now)?;
    Ok((snapshot, Print { parts: vec![part], folder: None }))
}

fn read_file(path: &Path, now: DateTime<Utc>) -> Result<(Snapshot, Part), String> {
    let says = |why: String| format!("{}: {why}", path.display());
    let meta = std::fs::metadata(path).map_err(|e| says(format!("cannot be read: {e}")))?;
    if !meta.is_file() {
        return Err(says("is neither a file nor a folder".to_owned()));
    }
    if meta.len() > BODY_MAX as u64 {
        return Err(says(format!("has {} bytes; expected at most {BODY_MAX} (32 MiB)", meta.len())));
    }
    let bytes = std::fs::read(path).map_err(|e| says(format!("cannot be read: {e}")))?;
    let part = Part { name: name(path), mark: Some(FileStamp::of(&meta, now)), digest: Some(same::digest(&bytes)) };
    Ok((json::parse(&bytes).map_err(|refusal| says(refusal.to_string()))?, part))
}

/// When a file came to the folder or left it last, in seconds since 1970; `None`: it is no folder.
fn changed_at(path: &Path) -> Result<Option<i64>, String> {
    let meta = std::fs::metadata(path).map_err(|e| format!("{}: cannot be read: {e}", path.display()))?;
    Ok(meta.is_dir().then(|| meta.mtime()))
}

/// The file, or those of the folder by their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let says = |e: std::io::Error| format!("{}: cannot be read: {e}", path.display());
    if !std::fs::metadata(path).map_err(says)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries: Vec<PathBuf> =
        std::fs::read_dir(path).map_err(says)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(says)?;
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|p| p.extension().is_some_and(|x| x == "json") && !is_hidden(p)).collect();
    files.sort();
    Ok(files)
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_folder(path: &Path, now: DateTime<Utc>, progress: &dyn Fn(u64, u64)) -> Result<(Snapshot, Vec<Part>), String> {
    let files = files(path)?;
    let (mut whole, mut parts) = (Snapshot::default(), Vec::with_capacity(files.len()));
    for (n, file) in files.iter().enumerate() {
        progress(n as u64, files.len() as u64);
        let name = name(file);
        match read_file(file, now) {
            Ok((snapshot, part)) => {
                append(&mut whole, snapshot, name);
                parts.push(part);
            }
            Err(reason) => {
                let mark = std::fs::metadata(file).ok().map(|meta| FileStamp::of(&meta, now));
                parts.push(Part { name: name.clone(), mark, digest: None });
                whole.lost(name, reason);
            }
        }
    }
    Ok((whole, parts))
}

/// Half-written files hide behind a dot until they are renamed.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))
}

/// Adds one file's part: every path in it begins with the file's name.
fn append(whole: &mut Snapshot, mut part: Snapshot, name: String) {
    let within = |path: &str| format!("{name}:{path}");
    for session in &mut part.sessions {
        session.participants.iter_mut().for_each(|p| p.path = within(&p.path));
        session.faults.iter_mut().for_each(|f| f.path = within(&f.path));
    }
    part.faults.iter_mut().for_each(|f| f.path = within(&f.path));
    whole.join(name, part);
}

#[cfg(test)]
mod tests;
