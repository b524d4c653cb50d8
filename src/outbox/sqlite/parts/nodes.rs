//! One process has it.

use super::super::SqliteOutbox;
use crate::outbox::Nodes;

impl Nodes for SqliteOutbox {}
