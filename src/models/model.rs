use super::masked::{self, MaskedModel};
use crate::{Denoiser, Error, Result, guides::Topics};
use std::{path::Path, sync::Arc};

/// File name of the label statistics in a checkpoint directory.
pub const TOPICS: &str = "topics.safetensors";

/// A denoiser with what is shipped beside it.
#[derive(Clone)]
pub struct Model {
    denoiser: Arc<dyn Denoiser>,
    topics: Option<Arc<Topics>>,
}

impl Model {
    /// A denoiser with nothing beside it.
    pub fn new(denoiser: impl Denoiser + 'static) -> Self {
        Self { denoiser: Arc::new(denoiser), topics: None }
    }

    /// The model that ships with this crate (`models/stencil-base`): short, simple sentences about everyday things.
    ///
    /// # Errors
    /// None, unless the build is damaged.
    pub fn bundled() -> Result<Self> {
        macro_rules! file {
            ($name:literal) => {
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/stencil-base/", $name))
            };
        }
        let topics = file!("topics.safetensors");
        Self::from_bytes(file!("config.json"), file!("tokenizer.json"), file!("model.safetensors"), Some(topics))
            .map_err(|e| e.context("bundled model"))
    }

    /// Reads a checkpoint directory: `config.json`, `tokenizer.json`, `model.safetensors`, and `topics.safetensors`
    /// where there is one.
    ///
    /// # Errors
    /// Of kind `Model`, naming the file and what is wrong with it.
    pub fn load(directory: &Path) -> Result<Self> {
        let place = directory.display().to_string();
        if !directory.is_dir() {
            return Err(Error::model(format!("{place} is not a directory")).help(format!(
                "a model is a directory with {}, {} and {}",
                masked::CONFIG,
                masked::TOKENIZER,
                masked::WEIGHTS
            )));
        }
        let read = |name: &str| {
            std::fs::read(directory.join(name)).map_err(|e| {
                Error::model(format!("{place}: cannot read {name}")).because(e).help(format!(
                    "a model is a directory with {}, {} and {}",
                    masked::CONFIG,
                    masked::TOKENIZER,
                    masked::WEIGHTS
                ))
            })
        };
        let topics = if directory.join(TOPICS).exists() { Some(read(TOPICS)?) } else { None };
        Self::from_bytes(&read(masked::CONFIG)?, &read(masked::TOKENIZER)?, &read(masked::WEIGHTS)?, topics.as_deref())
            .map_err(|e| e.context(place))
    }

    fn from_bytes(config: &[u8], tokenizer: &[u8], weights: &[u8], topics: Option<&[u8]>) -> Result<Self> {
        let denoiser = MaskedModel::from_bytes(config, tokenizer, weights)?;
        let topics = topics.map(Topics::from_bytes).transpose().map_err(|e| e.context(TOPICS))?;
        let size = denoiser.vocab().len();
        match topics {
            Some(topics) if topics.vocab() != size => Err(Error::model(format!(
                "{TOPICS}: has statistics of {} tokens, the model predicts {size}",
                topics.vocab()
            ))),
            Some(topics) => Ok(Self::new(denoiser).with_topics(topics)),
            None => Ok(Self::new(denoiser)),
        }
    }
    /// Label statistics for the `topic` guide.
    pub fn with_topics(mut self, topics: Topics) -> Self {
        self.topics = Some(Arc::new(topics));
        self
    }
    /// What predicts the open positions.
    pub fn denoiser(&self) -> &dyn Denoiser {
        &*self.denoiser
    }
    /// Label statistics, where the model has some.
    pub fn topics(&self) -> Option<&Arc<Topics>> {
        self.topics.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CanvasView;

    #[test]
    fn the_bundled_model_expects_an_animal_where_one_belongs() {
        let model = Model::bundled().unwrap();
        let (denoiser, topics) = (model.denoiser(), model.topics().unwrap());
        assert_eq!(denoiser.conditions(), topics.labels());
        let encode = |text: &str| denoiser.vocab().encode(text).unwrap();
        let (before, after) = (encode("The"), encode(" is a small animal that lives in Africa."));
        let tokens = before.iter().copied().map(Some).chain([None]).chain(after.iter().copied().map(Some));
        let tokens = tokens.chain([denoiser.vocab().eos()]).collect();
        let scores = denoiser.predict(&[CanvasView { prompt: vec![], condition: None, tokens }]).unwrap();
        let score = |word: &str| scores[0].row(before.len())[encode(word)[0] as usize];
        assert!(score(" bird") > score(" table") + 2.0, "{} {}", score(" bird"), score(" table"));
    }
}
