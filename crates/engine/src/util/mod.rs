//! What several rooms need and none owns.

mod hash;
pub mod json;
mod nearest;

pub(crate) use hash::FastHasher;
pub use hash::FastMap;
pub use nearest::nearest;
