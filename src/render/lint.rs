//! placeholder
use super::Renderer;

pub(super) fn run(_renderer: &Renderer) -> Vec<String> {
    Vec::new()
}
