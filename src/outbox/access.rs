//! What a store is opened for.

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The one daemon of this store: creates a file and brings its schema up to date, keeps other daemons out.
    Daemon,
    /// A command beside it: reads, and acts. The store must exist, with the schema of this program.
    Command,
    /// A command that says what is wrong with the store: reads alone, also of one that somebody changed.
    Look,
}
