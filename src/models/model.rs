use super::Pretrained;
use super::checkpoint::{self, ChatTemplate, Checkpoint, Message, Precision, Stored, check_memory, read_json};
use super::masked::{self, MaskedModel};
use crate::{Denoiser, Error, Result, Token, models::Topics};
use serde_json::Value;
use std::{path::Path, sync::Arc};

/// File name of the label statistics in a checkpoint directory.
pub const TOPICS: &str = "topics.safetensors";

/// Maximum size of a configuration file and of label statistics, in bytes.
const MOST_CONFIG: u64 = 16 << 20;
const MOST_TOPICS: u64 = 1 << 30;

/// How a pretrained model is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loading {
    /// The precision of matrices in memory; 32 bits if `None`.
    pub precision: Option<Precision>,
    /// Maximum memory of the model in bytes; the memory that the machine has left if `None`.
    pub memory: Option<u64>,
}

/// A denoiser with its label statistics and chat template.
#[derive(Clone)]
pub struct Model {
    denoiser: Arc<dyn Denoiser>,
    topics: Option<Arc<Topics>>,
    chat: Option<Arc<ChatTemplate>>,
}

impl Model {
    /// A model without label statistics and chat template.
    pub fn new(denoiser: impl Denoiser + 'static) -> Self {
        Self { denoiser: Arc::new(denoiser), topics: None, chat: None }
    }

    /// The model that ships with this crate (`models/stencil-base`): short, simple sentences about everyday things.
    ///
    /// # Errors
    /// A build without the feature `bundled`.
    #[cfg(not(feature = "bundled"))]
    pub fn bundled() -> Result<Self> {
        Err(Error::input("this build has no bundled model")
            .help("name a model, or build with the feature `bundled`, which is on by default"))
    }

    /// The model that ships with this crate (`models/stencil-base`): short, simple sentences about everyday things.
    ///
    /// # Errors
    /// None, unless the build is damaged, or one without the feature `bundled`.
    #[cfg(feature = "bundled")]
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

    /// Reads a checkpoint directory: `config.json`, `tokenizer.json`, `model.safetensors` and, if present,
    /// `topics.safetensors`. Pretrained models of the [families](super::families::FAMILIES) are read as they are
    /// downloaded, with shards and chat template, or as a GGUF file. A `topics.safetensors` may be added to a
    /// pretrained model.
    ///
    /// # Errors
    /// Of kind `Model`, naming the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, &Loading::default())
    }

    /// As [`load`](Self::load), with options for the weights of pretrained models.
    ///
    /// # Errors
    /// As [`load`](Self::load), and options for a model whose weights are stored in one way only.
    pub fn load_with(path: &Path, loading: &Loading) -> Result<Self> {
        let path = checkpoint::place(path);
        let place = path.display().to_string();
        let parts = format!("{}, {} and {}", masked::CONFIG, masked::TOKENIZER, masked::WEIGHTS);
        let help = format!("a model is a directory with {parts}, or a GGUF file");
        if !path.exists() {
            return Err(Error::model(format!("{place} does not exist")).help(help));
        }
        // A configuration that cannot be read is reported below, by the reader of this crate's own format.
        let config = read_json(&path.join(masked::CONFIG), MOST_CONFIG).ok();
        let foreign = |c: Value| c.get("model_type").and_then(Value::as_str) != Some(masked::MODEL_TYPE);
        if path.is_file() || config.is_some_and(foreign) {
            return Self::pretrained(path, loading).map_err(|e| e.context(place));
        }
        if loading.precision.is_some() {
            return Err(Error::input(format!("{place}: --quantize is for pretrained checkpoints"))
                .help("`stencil export` writes this crate's own models in fewer bits"));
        }
        let read = |name: &str| {
            std::fs::read(path.join(name))
                .map_err(|e| Error::model(format!("{place}: cannot read {name}")).because(e).help(help.clone()))
        };
        let topics = if path.join(TOPICS).exists() { Some(read(TOPICS)?) } else { None };
        Self::from_bytes(&read(masked::CONFIG)?, &read(masked::TOKENIZER)?, &read(masked::WEIGHTS)?, topics.as_deref())
            .map_err(|e| e.context(place))
    }

    /// Reads a pretrained model.
    ///
    /// # Errors
    /// Errors of kind `Model` name the file and the problem. `TooLarge` is returned with the figures, before anything
    /// is loaded, where memory does not suffice.
    pub fn pretrained(path: &Path, loading: &Loading) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let is_gguf = matches!(checkpoint.stored, Stored::Gguf(_));
        if is_gguf && loading.precision.is_some() {
            return Err(Error::input("a GGUF file is read as it is, it cannot be quantised again")
                .help("leave out --quantize, or use the checkpoint it was made from"));
        }
        let precision = loading.precision.unwrap_or(Precision::F32);
        check_memory(checkpoint.needed(precision), loading.memory, |limit| {
            let fits = |p: &Precision| !is_gguf && *p > precision && checkpoint.needed(*p) <= limit;
            let other = Precision::ALL.into_iter().find(fits)?;
            let gib = checkpoint.needed(other) as f64 / (1u64 << 30) as f64;
            Some(format!("`--quantize {}` needs {gib:.1} GiB", other.name()))
        })?;
        let tokens = checkpoint.tokens(path)?;
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let chat = ChatTemplate::open(directory, &tokens.config, &tokens.names)?;
        let (name, description) = (checkpoint.name.clone(), checkpoint.description.clone());
        let description = description.with_generation(&tokens.generation);
        let description = description.map_err(|e| e.context(checkpoint::GENERATION_CONFIG))?;
        let mut reader = checkpoint.reader(precision);
        let denoiser = Pretrained::new(name, description, tokens.vocab, tokens.mask, tokens.ends, &mut *reader)?;
        let file = directory.join(TOPICS);
        let topics = if path.is_dir() && file.exists() { Some(checkpoint::read(&file, MOST_TOPICS)?) } else { None };
        Ok(Self { chat: chat.map(Arc::new), ..Self::new(denoiser).with_statistics(topics.as_deref())? })
    }

    fn from_bytes(config: &[u8], tokenizer: &[u8], weights: &[u8], topics: Option<&[u8]>) -> Result<Self> {
        Self::new(MaskedModel::from_bytes(config, tokenizer, weights)?).with_statistics(topics)
    }

    /// Adds the label statistics of a file, if the file exists.
    fn with_statistics(self, file: Option<&[u8]>) -> Result<Self> {
        let topics = file.map(Topics::from_bytes).transpose().map_err(|e| e.context(TOPICS))?;
        let size = self.denoiser.vocab().len();
        match topics {
            Some(topics) if topics.vocab() != size => Err(Error::model(format!(
                "{TOPICS}: has statistics of {} tokens, the model predicts {size}",
                topics.vocab()
            ))),
            Some(topics) => Ok(self.with_topics(topics)),
            None => Ok(self),
        }
    }
    /// Sets the label statistics for the `topic` guide.
    pub fn with_topics(mut self, topics: Topics) -> Self {
        self.topics = Some(Arc::new(topics));
        self
    }
    /// The chat template, if the model was trained for conversations.
    pub fn chat(&self) -> Option<&ChatTemplate> {
        self.chat.as_deref()
    }
    /// The tokens of a prompt. A model with a chat template gets the prompt as a turn of a conversation, unless `raw`
    /// is set; other models get it verbatim.
    ///
    /// # Errors
    /// Text that the vocabulary cannot write, text that contains a control token of the model, and a `system` text for
    /// a model without a chat template.
    pub fn prompt_tokens(&self, system: Option<&str>, prompt: &str, raw: bool) -> Result<Vec<Token>> {
        let vocab = self.denoiser.vocab();
        let chat = self.chat.as_deref().filter(|_| !raw && (!prompt.is_empty() || system.is_some()));
        let Some(chat) = chat else {
            return match system {
                Some(_) => Err(Error::input("a system text needs a model with a chat template")
                    .help("put it into the prompt, or use an instruction-tuned model")),
                None => vocab.encode_prompt(prompt),
            };
        };
        // A control token in a user's text would forge a turn.
        for text in system.into_iter().chain([prompt]) {
            vocab.encode_prompt(text)?;
        }
        let turns = system.map(|s| Message::new("system", s)).into_iter().chain([Message::new("user", prompt)]);
        vocab.encode_marked(&chat.render(&turns.collect::<Vec<_>>())?)
    }
    /// Whether both are handles of one model.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.denoiser, &other.denoiser)
    }
    /// The denoiser of the model.
    pub fn denoiser(&self) -> &dyn Denoiser {
        &*self.denoiser
    }
    /// The label statistics, if the model has them.
    pub fn topics(&self) -> Option<&Arc<Topics>> {
        self.topics.as_ref()
    }
}

#[cfg(all(test, feature = "bundled"))]
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
        let scores = denoiser.predict(&[CanvasView { prompt: vec![].into(), condition: None, tokens }]).unwrap();
        let score = |word: &str| scores[0].row(before.len())[encode(word)[0] as usize];
        assert!(score(" bird") > score(" table") + 2.0, "{} {}", score(" bird"), score(" table"));
    }
}
