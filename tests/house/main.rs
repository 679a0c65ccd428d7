//! The house: which room uses which, where unsafe code stands, and whether the documents hold together. No library is linked.

mod documents;
mod public_names;
mod rooms;
mod unsafe_rooms;
