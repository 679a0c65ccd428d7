//! What users write: constraint files, templates, and the registry of plugins that reads them.

mod registry;

pub use registry::{BuildCx, GuideFactory, Kind, Part};
