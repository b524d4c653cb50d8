//! The columns of the widest tables.

use super::{Column, ColumnKind, alike, bytes, int, of, sealed, text};

pub(super) const OUTGOING: &[Column] = &[
    text("key"),
    text("kind"),
    text("recipient"),
    sealed(text("address"), "answer", &["key"]),
    alike("address_key", "suppression"),
    text("answer"),
    text("locale"),
    int("due_at"),
    int("useful_until"),
    text("state"),
    text("phase"),
    int("next_attempt_at"),
    int("attempts"),
    int("changed_at"),
    int("epoch"),
    text("owner"),
    of("lease_until", ColumnKind::Lease),
    text("transport"),
    text("outcome"),
];

pub(super) const NOTICE: &[Column] = &[
    int("id"),
    bytes("key"),
    text("source"),
    int("session_id"),
    int("participation_id"),
    text("role"),
    text("occasion"),
    text("rule"),
    text("channel"),
    alike("address", "address"),
    int("start_at"),
    int("due_at"),
    int("useful_until"),
    text("state"),
    text("reason"),
    text("phase"),
    int("next_attempt_at"),
    int("attempts"),
    int("accepted_at"),
    text("server_reply"),
    text("reference"),
    int("changed_at"),
    int("epoch"),
    text("owner"),
    of("lease_until", ColumnKind::Lease),
    text("claimed_from"),
    text("doubt"),
    sealed(text("facts"), "told", &["key"]),
];

pub(super) const LOOK: &[Column] =
    &[text("source"), int("wanted"), int("had"), int("quiet_until"), int("refusals"), text("read_by"), int("written"), text("said")];
pub(super) const TRANSPORT: &[Column] = &[
    text("channel"),
    text("name"),
    int("next_turn"),
    int("faults"),
    int("noted_at"),
    int("paused_until"),
    int("said_until"),
    text("why"),
    int("version"),
    text("probed_by"),
    int("probed_until"),
];
