//! Reads a document into a [`Spec`]. Every key is used or refused.

use super::{
    BuildCx, Inputs, Part, Registry, Role, Spec,
    de::unknown,
    document::{Document, Entry, Node, Value},
    kinds::Bound,
};
use crate::{
    Constraint, Error, Result, Settings,
    constraints::{Length, ScaffoldPart, TemplateCx, Unit},
    policies::{OPTIONS, PolicyFactory, PolicyOption, Takes},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// The keys of a file that are not kinds.
pub(crate) const OWN_KEYS: [&str; 8] =
    ["$schema", "version", "description", "slots", "sampler", "all", "accepts", "rejects"];
/// The keys of a slot's table that are not kinds: sizes.
pub(crate) const SIZES: [(&str, Unit); 3] = [("words", Unit::Words), ("chars", Unit::Chars), ("tokens", Unit::Tokens)];

pub(crate) fn read(document: &Document, dir: Option<PathBuf>, registry: &Registry, inputs: &Inputs) -> Result<Spec> {
    let mut reader = Reader {
        document,
        registry,
        cx: BuildCx {
            dir,
            template: TemplateCx { inputs: inputs.clone(), ..TemplateCx::default() },
            ..BuildCx::default()
        },
    };
    reader.file().map_err(|e| document.blame(e))
}

struct Reader<'a> {
    document: &'a Document,
    registry: &'a Registry,
    cx: BuildCx,
}

impl Reader<'_> {
    fn file(&mut self) -> Result<Spec> {
        let entries = table(&self.document.root)?;
        let slots = entries.iter().find(|e| e.key == "slots");
        if let Some(entry) = slots {
            self.slots(&entry.node).map_err(|e| e.under("slots"))?;
        }
        let mut spec = Spec::new();
        for entry in entries {
            self.entry(entry, &mut spec).map_err(|e| e.under(&entry.key))?;
        }
        if let Some(entry) = slots {
            self.slots_exist(&entry.node, &spec).map_err(|e| e.under("slots"))?;
        }
        Ok(spec)
    }

    fn entry(&self, entry: &Entry, spec: &mut Spec) -> Result<()> {
        let node = &entry.node;
        match entry.key.as_str() {
            "slots" => {}
            "$schema" => drop(value::<String>(node)?),
            "version" => {
                if value::<u64>(node)? != 1 {
                    return Err(Error::unsupported("this version of the format is not known")
                        .at(node.span.clone())
                        .help("this program reads `version = 1`"));
                }
            }
            "description" => spec.description = Some(value(node)?),
            "accepts" => spec.accepts = value(node)?,
            "rejects" => spec.rejects = value(node)?,
            "sampler" => self.sampler(node, spec)?,
            "all" => {
                let Value::Array(items) = &node.value else {
                    return Err(Error::input(format!("expected a list of tables, found {}", node.describe()))
                        .at(node.span.clone()));
                };
                for (i, item) in items.iter().enumerate() {
                    self.all_of(item, spec).map_err(|e| e.under(i))?;
                }
            }
            _ => spec.push(self.part(entry, &self.cx, &OWN_KEYS)?),
        }
        Ok(())
    }

    fn all_of(&self, node: &Node, spec: &mut Spec) -> Result<()> {
        for entry in table(node)? {
            let part = self.part(entry, &self.cx, &[]).map_err(|e| e.under(&entry.key))?;
            spec.push(part);
        }
        Ok(())
    }

    fn part(&self, entry: &Entry, cx: &BuildCx, own_keys: &[&'static str]) -> Result<Part> {
        match self.registry.get(Role::Text, &entry.key) {
            Some(kind) => (kind.read)(&entry.node, self.document, cx),
            None if self.registry.get(Role::Policy, &entry.key).is_some() => {
                Err(Error::input(format!("`{}` is a policy, which says how to sample", entry.key))
                    .at(entry.key_span.clone())
                    .help(format!("write it under [sampler.policy]: `{} = {{}}`", entry.key)))
            }
            None => {
                let known = own_keys.iter().filter(|k| **k != "$schema").copied().chain(self.registry.names());
                Err(unknown("key", &entry.key, known).at(entry.key_span.clone()))
            }
        }
    }

    /// Reads the `[sampler]` table: settings, options of policies, and the policy by its name or as a table.
    fn sampler(&self, node: &Node, spec: &mut Spec) -> Result<()> {
        let mut plain = Vec::new();
        let mut policy = None;
        for entry in table(node)? {
            let key = entry.key.as_str();
            let given = entry.node.value != Value::Null;
            match PolicyOption::named(key) {
                Some(_) if !given => {}
                Some(option) => {
                    let value = number(option, &entry.node).map_err(|e| e.under(key))?;
                    spec.settings.options.insert(key.to_string(), value);
                }
                None if key == "policy" => policy = given.then_some(entry),
                None if Settings::NAMES.contains(&key) => plain.push(entry.clone()),
                None => {
                    let options = OPTIONS.iter().map(|option| option.name);
                    // In the order of the command line's help, which has the layout behind the policies' options.
                    let (layout, others) = Settings::NAMES.split_last().unwrap_or((&"", &[]));
                    let known = others.iter().copied().chain(options).chain([*layout]);
                    return Err(unknown("key", key, known).at(entry.key_span.clone()).under(key));
                }
            }
        }
        let plain: Settings = value(&Node { span: node.span.clone(), value: Value::Table(plain) })?;
        spec.settings = std::mem::take(&mut spec.settings).or(plain);
        policy.map_or(Ok(()), |entry| self.policy(entry, spec).map_err(|e| e.under("policy")))
    }

    /// Reads `policy = "NAME"` or `policy = { NAME = {…} }`.
    fn policy(&self, entry: &Entry, spec: &mut Spec) -> Result<()> {
        let node = &entry.node;
        let chosen = match &node.value {
            // A name alone is the policy with its defaults, which other keys may change.
            Value::String(name) => {
                let value = Value::Table(Vec::new());
                let node = Node { span: node.span.clone(), value };
                &Entry { key: name.clone(), key_span: node.span.clone(), node }
            }
            Value::Table(entries) => match &entries[..] {
                [chosen] => chosen,
                [] => {
                    return Err(Error::input("no policy is named")
                        .at(node.span.clone())
                        .help("for example { confidence = {} }"));
                }
                [_, second, ..] => {
                    return Err(Error::input("only one policy can choose the positions")
                        .at(second.key_span.clone())
                        .help("leave all but one out"));
                }
            },
            _ => {
                let what = format!("expected the name of a policy or a table with one, found {}", node.describe());
                return Err(Error::input(what).at(node.span.clone()));
            }
        };
        let short = matches!(node.value, Value::String(_));
        let made = self.chosen(chosen);
        let made = if short { made? } else { made.map_err(|e| e.under(&chosen.key))? };
        let twice = made.options().into_iter().flatten().find(|(name, _)| spec.settings.options.contains_key(*name));
        if let Some((name, _)) = twice {
            return Err(Error::input(format!("`{name}` is given twice: in the table of the policy and beside it"))
                .at(chosen.node.span.clone())
                .help(format!("leave `{name}` out of [sampler]")));
        }
        spec.push(Part::Policy(made));
        Ok(())
    }

    fn chosen(&self, entry: &Entry) -> Result<PolicyFactory> {
        let name = &entry.key;
        let Some(kind) = self.registry.get(Role::Policy, name) else {
            let error = match self.registry.get(Role::Text, name) {
                Some(_) => Error::input(format!("`{name}` says something about the text and is no policy"))
                    .help(format!("move `{name}` out of [sampler.policy], to the top of the file")),
                None => unknown("policy", name, self.registry.names_of(Role::Policy)),
            };
            return Err(error.at(entry.key_span.clone()));
        };
        let cx = BuildCx { dir: self.cx.dir.clone(), key: name.clone(), ..BuildCx::default() };
        match (kind.read)(&entry.node, self.document, &cx)? {
            Part::Policy(policy) => Ok(policy),
            _ => Err(Error::unsupported(format!("the kind `{name}` builds no policy"))),
        }
    }

    fn slots(&mut self, node: &Node) -> Result<()> {
        for slot in table(node)? {
            self.slot(&slot.key, &slot.node).map_err(|e| e.under(&slot.key))?;
        }
        Ok(())
    }

    fn slot(&mut self, name: &str, node: &Node) -> Result<()> {
        let (mut sizes, mut constraints) = (Vec::new(), Vec::new());
        for entry in table(node)? {
            let read = match SIZES.iter().find(|(key, _)| *key == entry.key) {
                Some((_, unit)) => size(*unit, &entry.node).map(|size| sizes.push(size)),
                None => self.slot_part(name, entry).map(|parts| constraints.extend(parts)),
            };
            read.map_err(|e| e.under(&entry.key))?;
        }
        self.cx.template.slots.insert(name.to_string(), constraints);
        self.cx.template.sizes.insert(name.to_string(), sizes);
        Ok(())
    }

    fn slot_part(&self, slot: &str, entry: &Entry) -> Result<Vec<Arc<dyn Constraint>>> {
        let cx = BuildCx {
            dir: self.cx.dir.clone(),
            template: TemplateCx {
                inputs: self.cx.template.inputs.clone(),
                patterns: self.cx.template.patterns.clone(),
                ..TemplateCx::default()
            },
            ..BuildCx::default()
        };
        let mut spec = Spec::new();
        spec.push(self.part(entry, &cx, &SIZES.map(|(key, _)| key))?);
        if spec.guides.is_empty() && spec.potentials.is_empty() {
            return Ok(spec.constraints);
        }
        Err(Error::unsupported(format!("`{}` speaks of the whole text, not of one slot", entry.key))
            .at(entry.key_span.clone())
            .help(format!("move `{}` out of [slots.{slot}]", entry.key)))
    }

    /// Refuses a table for a slot that no template has; it would be ignored silently.
    fn slots_exist(&self, node: &Node, spec: &Spec) -> Result<()> {
        let scaffolds = spec.constraints.iter().filter_map(|c| c.shape().scaffold());
        let names: BTreeSet<String> = scaffolds
            .flat_map(|s| s.parts)
            .filter_map(|part| match part {
                ScaffoldPart::Slot { name, .. } => Some(name),
                ScaffoldPart::Literal(_) => None,
            })
            .collect();
        for slot in table(node)? {
            if !names.contains(&slot.key) {
                let error = unknown("slot", &slot.key, names.iter().map(String::as_str));
                let error = error.at(slot.key_span.clone()).under(&slot.key);
                return Err(if names.is_empty() { error.help("this file has no template with slots") } else { error });
            }
        }
        Ok(())
    }
}

/// Reads the value of a policy option.
fn number(option: &PolicyOption, node: &Node) -> Result<f32> {
    let number = match option.takes {
        Takes::Count(_) => value::<u16>(node)?.into(),
        Takes::Share | Takes::Amount => value::<f32>(node)?,
    };
    option.check(option.name, number).map_err(|e| e.at(node.span.clone()))?;
    Ok(number)
}

fn size(unit: Unit, node: &Node) -> Result<Length> {
    let bound = Bound::deserialize(node)?;
    bound.length(unit).map_err(|e| e.replace_span(node.span.clone()))
}

fn table(node: &Node) -> Result<&[Entry]> {
    match &node.value {
        Value::Table(entries) => Ok(entries),
        _ => Err(Error::input(format!("expected a table, found {}", node.describe())).at(node.span.clone())),
    }
}

fn value<T: DeserializeOwned>(node: &Node) -> Result<T> {
    Ok(T::deserialize(node)?)
}
