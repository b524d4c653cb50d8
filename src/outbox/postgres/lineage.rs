//! Which database this is: its system, its timeline, which a promotion or a restore to a point in time changes, and its tables, which another restore
//! makes anew.

/// Says it, as one text.
pub(super) const SQL: &str = "SELECT (SELECT system_identifier FROM pg_control_system()) || '/'
                   || CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END || '/'
                   || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || coalesce(to_regclass('practice')::oid::text, '')";

/// Numbers of the system, the timeline, the database and its first table, with a slash between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage(pub(super) String);

impl Lineage {
    /// The same database, on whichever timeline.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let place = |one: &Self| one.0.split('/').enumerate().filter(|(n, _)| *n != 1).map(|(_, part)| part.to_owned()).collect::<Vec<_>>();
        place(self) == place(other)
    }

    /// It takes no writes, and may be behind.
    pub(super) fn is_of_a_standby(&self) -> bool {
        self.0.split('/').nth(1) == Some("")
    }
}
