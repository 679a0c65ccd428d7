//! Chat templates: the text format of conversations for a model.

use crate::{Error, Result};
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, Value, syntax::SyntaxConfig};
use std::{collections::HashMap, path::Path, sync::Arc, sync::mpsc, thread, time::Duration};

/// File name of a template in a file of its own.
pub const CHAT_TEMPLATE: &str = "chat_template.jinja";
const MOST_BYTES: u64 = 4 << 20;
/// The time limit of a template. Templates take milliseconds, and fuel bounds all but a few operations on lists.
const PATIENCE: Duration = Duration::from_secs(10);

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text of the turn.
    pub content: String,
}

impl Message {
    /// A turn of a role.
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// A model's template for conversations.
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    /// `bos_token`, `eos_token`, … as texts.
    tokens: HashMap<String, String>,
}

impl ChatTemplate {
    /// Reads the template of a checkpoint, if it has one: from a file of its own, or from `tokenizer_config.json`.
    ///
    /// # Errors
    /// A template that cannot be parsed; the error has the line.
    pub fn open(
        directory: &Path,
        tokenizer_config: &serde_json::Value,
        tokens: &HashMap<String, String>,
    ) -> Result<Option<Self>> {
        let file = directory.join(CHAT_TEMPLATE);
        if file.exists() {
            let bytes = super::read(&file, MOST_BYTES).map_err(|e| e.context(CHAT_TEMPLATE))?;
            let text = String::from_utf8(bytes).map_err(|_| Error::model(format!("{CHAT_TEMPLATE} is not UTF-8")))?;
            return Self::new(text, tokens).map(Some).map_err(|e| e.context(CHAT_TEMPLATE));
        }
        let source = match tokenizer_config.get("chat_template") {
            Some(serde_json::Value::String(text)) => Some(text.as_str()),
            // Several templates by name.
            Some(serde_json::Value::Array(all)) => {
                let named = |name: &str| all.iter().find(|t| t.get("name").and_then(|n| n.as_str()) == Some(name));
                named("default").or(all.first()).and_then(|t| t.get("template")?.as_str())
            }
            _ => None,
        };
        source.map(|text| Self::new(text.into(), tokens).map_err(|e| e.context("chat_template"))).transpose()
    }

    /// # Errors
    /// A template that cannot be parsed; the error has the line.
    pub fn new(source: String, tokens: &HashMap<String, String>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| Error::model("the chat template cannot be read").because(e))?);
        // One unit per instruction, and one per block of output bytes.
        environment.set_fuel(Some(2_000_000));
        environment.set_unknown_method_callback(python_method);
        environment.add_function("raise_exception", |why: String| -> std::result::Result<Value, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, why))
        });
        environment
            .add_template_owned("chat", source)
            .map_err(|e| Error::model("the chat template cannot be read").because(e))?;
        Ok(Self { environment: Arc::new(environment), tokens: tokens.clone() })
    }

    /// Renders the conversation up to the start of the answer.
    ///
    /// # Errors
    /// Errors of the template itself, such as unknown roles; a template that does not terminate.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        let refused = |e| Error::input("the model's chat template refuses the conversation").because(e);
        let message = |m: &Message| Value::from_pairs([("role", m.role.as_str()), ("content", m.content.as_str())]);
        let messages: Vec<Value> = messages.iter().map(message).collect();
        let mut pairs = vec![
            ("messages", Value::from(messages)),
            ("add_generation_prompt", Value::from(true)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ];
        pairs.extend(self.tokens.iter().map(|(name, text)| (name.as_str(), Value::from(text.as_str()))));
        let values = Value::from_pairs(pairs);
        let (environment, (sender, receiver)) = (Arc::clone(&self.environment), mpsc::channel());
        let render = move || {
            let text = environment.get_template("chat").and_then(|template| template.render(values));
            // After the time limit the receiver is gone, so a failed send is ignored.
            let _ = sender.send(text);
        };
        thread::Builder::new().stack_size(8 << 20).spawn(render).map_err(|e| Error::io(e.to_string()))?;
        match receiver.recv_timeout(PATIENCE) {
            Ok(text) => text.map_err(refused),
            Err(_) => Err(Error::model("the model's chat template does not come to an end")
                .help("use another checkpoint's, or --raw to give the prompt as it stands")),
        }
    }
}

/// Python's methods of strings and tables, which templates use.
fn python_method(
    _: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> std::result::Result<Value, minijinja::Error> {
    let unknown = || minijinja::Error::new(ErrorKind::UnknownMethod, format!("there is no method {method:?}"));
    if let Some(text) = value.as_str() {
        let arg = |i: usize| args.get(i).and_then(|a| a.as_str());
        let chars: Option<Vec<char>> = arg(0).map(|a| a.chars().collect());
        let stripped = |c: char| chars.as_ref().map_or(c.is_whitespace(), |set| set.contains(&c));
        let list = |parts: &mut dyn Iterator<Item = &str>| Value::from(parts.map(Value::from).collect::<Vec<_>>());
        return Ok(match (method, arg(0)) {
            ("strip", _) => text.trim_matches(stripped).into(),
            ("lstrip", _) => text.trim_start_matches(stripped).into(),
            ("rstrip", _) => text.trim_end_matches(stripped).into(),
            ("upper", _) => text.to_uppercase().into(),
            ("lower", _) => text.to_lowercase().into(),
            ("capitalize", _) | ("title", _) => {
                let mut chars = text.chars();
                let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
                format!("{first}{}", chars.as_str().to_lowercase()).into()
            }
            ("startswith", Some(prefix)) => text.starts_with(prefix).into(),
            ("endswith", Some(suffix)) => text.ends_with(suffix).into(),
            ("split", Some(separator)) if !separator.is_empty() => list(&mut text.split(separator)),
            ("split", None) => list(&mut text.split_whitespace()),
            ("replace", Some(from)) => text.replace(from, arg(1).unwrap_or_default()).into(),
            ("find", Some(part)) => text.find(part).map_or(-1, |at| text[..at].chars().count() as i64).into(),
            _ => return Err(unknown()),
        });
    }
    match method {
        "get" => {
            let key = args.first().ok_or_else(unknown)?;
            let found = value.get_item(key)?;
            Ok(if found.is_undefined() { args.get(1).cloned().unwrap_or_default() } else { found })
        }
        "items" => {
            let pairs = value.try_iter()?.map(|k| Ok(Value::from(vec![k.clone(), value.get_item(&k)?])));
            Ok(Value::from(pairs.collect::<std::result::Result<Vec<_>, minijinja::Error>>()?))
        }
        "keys" => Ok(Value::from(value.try_iter()?.collect::<Vec<_>>())),
        "values" => {
            let values = value.try_iter()?.map(|k| value.get_item(&k));
            Ok(Value::from(values.collect::<std::result::Result<Vec<_>, minijinja::Error>>()?))
        }
        _ => Err(unknown()),
    }
}
