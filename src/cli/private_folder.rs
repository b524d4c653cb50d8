//! A folder for messages as they are: for its owner alone.
//!
//! New, or one that holds nothing else: mode 0700. Files are made beside their place, mode 0600, and renamed, so that a link that stands there is
//! replaced and never followed.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A folder that only its owner can read.
pub(super) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    /// Makes it, or takes one that holds nothing but earlier previews. An error names what stands in the way.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        Self::open_as(path, rustix::process::geteuid().as_raw())
    }

    /// `account`: who runs this. The owner of a folder reads what root writes there.
    fn open_as(path: &Path, account: u32) -> anyhow::Result<Self> {
        let cannot = || format!("cannot make {}", path.display());
        match fs::symlink_metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(cannot)?;
            }
            Err(e) => return Err(e).with_context(cannot),
            Ok(meta) if !meta.is_dir() => bail!("{} is no folder; expected a new one, or one with earlier previews alone", path.display()),
            Ok(meta) if meta.uid() != account => {
                bail!(
                    "{} belongs to another account, which would read the messages; expected a new folder, or one of your own",
                    path.display()
                )
            }
            Ok(_) => {
                for entry in fs::read_dir(path).with_context(cannot)? {
                    let name = entry.with_context(cannot)?.file_name();
                    if !is_ours(&name.to_string_lossy()) {
                        bail!(
                            "{} holds {}, which is no preview; expected a new folder, or one with earlier previews alone",
                            path.display(),
                            name.display()
                        );
                    }
                }
            }
        }
        // Also against a umask that is narrower. Only its owner may do so.
        fs::set_permissions(path, Permissions::from_mode(0o700)).with_context(cannot)?;
        Ok(Self(path.to_path_buf()))
    }

    /// Writes one file; says where.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let (place, part) = (self.0.join(name), self.0.join(format!(".{name}.part")));
        let cannot = || format!("cannot write {}", place.display());
        match fs::remove_file(&part) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).with_context(cannot),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).with_context(cannot)?;
        file.write_all(bytes).and_then(|()| fs::rename(&part, &place)).with_context(cannot)?;
        Ok(place)
    }
}

/// `index.html`, `0001-9636-18620-invite.eml`, or what an interrupted preview left of one.
fn is_ours(name: &str) -> bool {
    let name = name.strip_prefix('.').and_then(|n| n.strip_suffix(".part")).unwrap_or(name);
    let numbered = name.split('-').next().is_some_and(|n| n.len() >= 4 && n.bytes().all(|b| b.is_ascii_digit()));
    name == "index.html" || (numbered && [".eml", ".txt"].iter().any(|end| name.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_replaced_and_never_followed() {
        let place = tempfile::tempdir().unwrap();
        let (matters, out) = (place.path().join("matters"), place.path().join("out"));
        fs::write(&matters, "it").unwrap();
        fs::create_dir(&out).unwrap();
        fs::set_permissions(&out, Permissions::from_mode(0o755)).unwrap();
        for link in ["0001-1-2-invite.eml", ".0001-1-2-invite.eml.part"] {
            std::os::unix::fs::symlink(&matters, out.join(link)).unwrap();
        }
        let folder = PrivateFolder::open(&out).unwrap();
        let file = folder.write("0001-1-2-invite.eml", b"a message").unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&out), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read_to_string(&matters).unwrap(), "it");
        assert_eq!(fs::read_to_string(&file).unwrap(), "a message");
    }

    #[test]
    fn a_folder_of_somebody_elses_files_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(place.path().join("letter.txt"), "x").unwrap();
        let refused = PrivateFolder::open(place.path()).err().unwrap().to_string();
        assert!(refused.contains("letter.txt"), "{refused}");
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o755);
        let link = place.path().join("link");
        std::os::unix::fs::symlink(place.path(), &link).unwrap();
        assert!(PrivateFolder::open(&link).is_err(), "a link to a folder");
    }

    #[test]
    fn a_folder_of_another_account_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().metadata().unwrap().uid();
        let refused = PrivateFolder::open_as(place.path(), own + 1).err().unwrap().to_string();
        assert!(refused.contains("belongs to another account"), "{refused}");
        PrivateFolder::open_as(place.path(), own).unwrap();
    }

    #[test]
    fn it_is_made_for_its_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("new/folder");
        PrivateFolder::open(&out).unwrap().write("index.html", b"page").unwrap();
        PrivateFolder::open(&out).unwrap().write("index.html", b"another").unwrap();
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read(out.join("index.html")).unwrap(), b"another");
    }
}
