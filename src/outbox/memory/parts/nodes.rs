//! One process has it.

use super::super::MemoryOutbox;
use crate::outbox::Nodes;

impl Nodes for MemoryOutbox {}
