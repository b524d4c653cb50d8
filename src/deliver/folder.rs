//! `kind = "folder"`: a file for each message, for demos and dry runs. Nothing leaves the machine.
//!
//! An e-mail becomes `<key>.eml`, a text `<key>.txt`; the notice's key tells nobody's name. The same notice again replaces its file. A file is
//! whole or not there: it is written beside its place, synced, and renamed. Mode 0600.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{PointOfNoReturn, Transport};
use crate::message::{Content, Message};
use crate::outcome::Outcome;

/// Files written at once: they wait for the same disk.
const CONCURRENCY: usize = 8;

/// A folder of messages.
pub struct Folder {
    name: String,
    path: PathBuf,
}

impl Folder {
    /// Makes the folder if it is not there (mode 0700).
    pub fn new(path: &Path) -> Result<Self, String> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|e| format!("the folder {} cannot be made: {e}", path.display()))?;
        Ok(Self { name: format!("folder:{}", path.display()), path: path.to_path_buf() })
    }
}

#[async_trait]
impl Transport for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    async fn deliver(&self, message: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        if !doubt.pass().await {
            return Outcome::Fenced;
        }
        let (folder, key, content) = (self.path.clone(), message.key.to_string(), message.content.clone());
        let written = tokio::task::spawn_blocking(move || write(&folder, &key, &content)).await;
        match written.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(name) => Outcome::Accepted { reply: format!("written to {name}"), reference: Some(name) },
            // Not renamed: nobody has read it.
            Err(e) => Outcome::ChannelFault { why: format!("{} cannot be written: {}", self.name, e.kind()), after: None },
        }
    }

    async fn probe(&self) -> Result<String, String> {
        let probe = self.path.join(".probe");
        let written = File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
        written.map(|()| "can be written".to_owned()).map_err(|e| format!("{} cannot be written: {e}", self.path.display()))
    }
}

/// Writes one message; says the file's name.
fn write(folder: &Path, key: &str, content: &Content) -> io::Result<String> {
    let (name, bytes) = match content {
        Content::Email { bytes, .. } => (format!("{key}.eml"), bytes.to_vec()),
        Content::Sms { to, text, segments, .. } => {
            (format!("{key}.txt"), format!("To: {}\nParts: {segments}\n\n{text}\n", to.expose()).into_bytes())
        }
    };
    let (place, part) = (folder.join(&name), folder.join(format!(".{name}.part")));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, &place)?;
    File::open(folder)?.sync_all()?;
    Ok(name)
}
