//! `kind = "file"`: a JSON file, or a folder of them.
//!
//! A folder's files are read in the order of their names. One that cannot be used is a fault of its own, and makes the snapshot partial:
//! what stood in it counts as unchanged, never as gone. A single file that cannot be used is refused whole: the last good snapshot stays.

use std::path::{Path, PathBuf};

use super::json::{self, BODY_MAX};
use crate::session::{Extent, Fault, Snapshot};

/// Where to read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A file, or a folder.
    pub path: PathBuf,
}

/// Reads a file or a folder. The error names the file, the place in it, what was found and what was expected.
pub fn read(settings: &Settings) -> Result<Snapshot, String> {
    read_telling(settings, &|_, _| {})
}

/// Likewise; `progress` is told files of a folder: read, and all.
pub fn read_telling(settings: &Settings, progress: &dyn Fn(u64, u64)) -> Result<Snapshot, String> {
    let path = &settings.path;
    let meta = std::fs::metadata(path).map_err(|e| format!("{}: cannot be read: {e}", path.display()))?;
    if meta.is_dir() { read_folder(path, progress) } else { read_file(path) }
}

fn read_file(path: &Path) -> Result<Snapshot, String> {
    let says = |why: String| format!("{}: {why}", path.display());
    let meta = std::fs::metadata(path).map_err(|e| says(format!("cannot be read: {e}")))?;
    if !meta.is_file() {
        return Err(says("is neither a file nor a folder".to_owned()));
    }
    if meta.len() > BODY_MAX as u64 {
        return Err(says(format!("has {} bytes; expected at most {BODY_MAX} (32 MiB)", meta.len())));
    }
    let bytes = std::fs::read(path).map_err(|e| says(format!("cannot be read: {e}")))?;
    json::parse(&bytes).map_err(|refusal| says(refusal.to_string()))
}

fn read_folder(path: &Path, progress: &dyn Fn(u64, u64)) -> Result<Snapshot, String> {
    let says = |e: std::io::Error| format!("{}: cannot be read: {e}", path.display());
    let entries: Vec<PathBuf> =
        std::fs::read_dir(path).map_err(says)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(says)?;
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|p| p.extension().is_some_and(|x| x == "json") && !is_hidden(p)).collect();
    files.sort();
    let mut whole = Snapshot::default();
    for (n, file) in files.iter().enumerate() {
        progress(n as u64, files.len() as u64);
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read_file(file) {
            Ok(part) => append(&mut whole, part, &name),
            Err(reason) => {
                whole.extent = Extent::Part;
                whole.faults.push(Fault { path: name, reason, session: None, participation: None });
            }
        }
    }
    Ok(whole)
}

/// Half-written files hide behind a dot until they are renamed.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))
}

/// Adds one file's part: every path in it begins with the file's name.
fn append(whole: &mut Snapshot, part: Snapshot, name: &str) {
    let within = |path: &str| format!("{name}:{path}");
    for mut session in part.sessions {
        session.participants.iter_mut().for_each(|p| p.path = within(&p.path));
        session.faults.iter_mut().for_each(|f| f.path = within(&f.path));
        whole.sessions.push(session);
    }
    whole.faults.extend(part.faults.into_iter().map(|f| Fault { path: within(&f.path), ..f }));
}
