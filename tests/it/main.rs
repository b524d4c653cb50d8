//! The one integration binary.

mod render;
