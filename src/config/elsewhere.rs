//! A store that is named on the command line, as `[store] url` would name it.

use std::path::{Path, PathBuf};

use super::key_path::Base;
use super::{Config, StoreUrl, secret};
use crate::outbox::postgres::Server;

impl Config {
    /// For what is to end by itself, also where a database says nothing.
    #[must_use]
    pub fn for_a_command(mut self) -> Self {
        self.store = self.store.map(|store| match store {
            StoreUrl::Postgres(server) => StoreUrl::Postgres(Box::new(server.for_a_command())),
            file @ StoreUrl::Sqlite(_) => file,
        });
        self
    }

    /// What that URL names. A database is spoken to with `[store] password_file`, `ca_file` and `pooler`; a relative path is relative to the working directory.
    ///
    /// # Errors
    /// Says what is wrong with it, and shows no password.
    pub fn store_at(&self, url: &str) -> Result<StoreUrl, String> {
        if Server::is_named_by(url) {
            let base = Base(self.file.as_deref());
            let password = self.raw.store.password_file.as_ref().map(|file| secret::read(file, &base.resolve(file))).transpose()?;
            let ca_file = self.raw.store.ca_file.as_ref().map(|file| base.resolve(file));
            let server = Server::parse(url, password.as_ref(), ca_file.as_deref())?;
            return Ok(StoreUrl::Postgres(Box::new(server.behind(self.raw.store.pooler.is_some()).for_a_command())));
        }
        match url.strip_prefix("sqlite://") {
            Some(path) if !path.is_empty() && path != ":memory:" => Ok(StoreUrl::Sqlite(absolute(path))),
            _ => Err("expected sqlite:// and the path of a file, or postgres://USER@HOST/DATABASE".to_owned()),
        }
    }
}

/// A store that is left says where the other one is: from everywhere.
fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| Path::new(path).to_owned())
}
