use crate::{Denoiser, guides::Topics};
use std::sync::Arc;

/// A denoiser with what is shipped beside it.
#[derive(Clone)]
pub struct Model {
    denoiser: Arc<dyn Denoiser>,
    topics: Option<Arc<Topics>>,
}

impl Model {
    pub fn new(denoiser: impl Denoiser + 'static) -> Self {
        Self { denoiser: Arc::new(denoiser), topics: None }
    }
    /// Label statistics for the `topic` guide.
    pub fn with_topics(mut self, topics: Topics) -> Self {
        self.topics = Some(Arc::new(topics));
        self
    }
    pub fn denoiser(&self) -> &dyn Denoiser {
        &*self.denoiser
    }
    pub fn topics(&self) -> Option<&Arc<Topics>> {
        self.topics.as_ref()
    }
}
