//! Where users and tokens stand: in a file of this machine, or, the same for all nodes, in the store.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::file::Followed;
use crate::access::{AccessList, UsersAt, file};
use crate::outbox::Outbox;

/// Who may use the pages and the API.
pub enum Users {
    File(Followed),
    /// The store, as it was known last, with its version there.
    Store(Arc<dyn Outbox>, Mutex<(i64, Arc<AccessList>)>),
}

impl Users {
    /// Nothing is read yet.
    pub fn new(at: &UsersAt, outbox: &Arc<dyn Outbox>) -> Self {
        match at {
            UsersAt::File(path) => Self::File(Followed::new(path.clone())),
            // No version is less than 0.
            UsersAt::Store => Self::Store(Arc::clone(outbox), Mutex::new((-1, Arc::default()))),
        }
    }

    /// The file, if it is one.
    pub(super) fn path(&self) -> Option<PathBuf> {
        if let Self::File(followed) = self { Some(followed.path().to_owned()) } else { None }
    }

    /// Who they are: of the store, when that was last asked.
    pub(super) fn current(&self) -> Arc<AccessList> {
        match self {
            Self::File(followed) => followed.current(),
            Self::Store(_, known) => Arc::clone(&known.lock().unwrap_or_else(PoisonError::into_inner).1),
        }
    }

    /// Asks the store. If it does not answer, they stay: without it nothing can be seen or done.
    pub(in crate::web) async fn renew(&self) {
        let Self::Store(outbox, known) = self else { return };
        let version = known.lock().unwrap_or_else(PoisonError::into_inner).0;
        match outbox.users(version).await {
            Ok(None) => {}
            Ok(Some((version, text))) => {
                let access = AccessList::parse(&text).unwrap_or_else(|why| {
                    tracing::error!(%why, "the users in the store cannot be used: nobody is let in");
                    AccessList::default()
                });
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                // Another request may have asked later, and been answered before.
                if known.0 < version {
                    *known = (version, Arc::new(access));
                }
            }
            Err(error) => tracing::error!(%error, "who may use the pages cannot be read"),
        }
    }

    /// To change them: their version, and who they are.
    ///
    /// # Errors
    /// They cannot be read, or have a mistake: what, and where.
    pub async fn read(&self) -> Result<(i64, AccessList), String> {
        match self {
            Self::File(followed) => {
                let path = followed.path().to_owned();
                let read = tokio::task::spawn_blocking(move || file::read(&path)).await;
                read.map_err(|e| e.to_string())?.map(|access| (0, access))
            }
            Self::Store(outbox, _) => {
                let (version, text) = outbox.users(-1).await.map_err(|e| e.to_string())?.unwrap_or_default();
                Ok((version, AccessList::parse(&text)?))
            }
        }
    }

    /// Puts others in the place of those that were read.
    ///
    /// # Errors
    /// A name stands twice, somebody else changed them meanwhile, or they cannot be written.
    pub async fn write(&self, version: i64, access: AccessList) -> Result<(), String> {
        match self {
            Self::File(followed) => {
                let path = followed.path().to_owned();
                tokio::task::spawn_blocking(move || file::write(&path, &access)).await.map_err(|e| e.to_string())?
            }
            Self::Store(outbox, _) => {
                let put = outbox.put_users(version, &access.to_text()?).await.map_err(|e| e.to_string())?;
                self.renew().await;
                if put { Ok(()) } else { Err("somebody else changed the users at the same moment: try again".to_owned()) }
            }
        }
    }
}
