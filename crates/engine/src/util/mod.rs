//! Helpers that several modules need and none owns.

mod bits;
mod hash;
pub mod json;
mod nearest;

pub(crate) use bits::Bits;
pub(crate) use hash::FastHasher;
pub use hash::FastMap;
pub use nearest::nearest;
