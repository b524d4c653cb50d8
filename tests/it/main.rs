//! The one integration binary.

mod zone;
