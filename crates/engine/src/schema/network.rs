//! From sets of values to the texts that write them: recursive transition networks (Woods 1970), graphs whose arrows
//! read a text or call another graph.

use super::{Compiler, KeyOrder, Whitespace, formula::Node, number, text};
use crate::{Error, Language, Result};
use std::collections::HashMap;

pub(super) type NetId = usize;

/// Most arrows of all networks together.
const ARROWS: usize = 400_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Label {
    /// The index of a language in `Nets::texts`.
    Text(u32),
    Call(NetId),
}

/// A graph; node 0 is its start.
#[derive(Debug, Clone, Default)]
pub(super) struct Net {
    pub arrows: Vec<(u32, Label, u32)>,
    pub accepting: Vec<bool>,
}

impl Net {
    pub fn node(&mut self, accepting: bool) -> u32 {
        self.accepting.push(accepting);
        self.accepting.len() as u32 - 1
    }

    pub fn calls(&self) -> impl Iterator<Item = NetId> + '_ {
        self.arrows.iter().filter_map(|arrow| match arrow.1 {
            Label::Call(net) => Some(net),
            Label::Text(_) => None,
        })
    }
}

/// The nesting depth of a value, where the depth decides its white space.
pub(super) type Level = Option<u32>;

#[derive(Default)]
pub(super) struct Nets {
    pub nets: Vec<Net>,
    pub texts: Vec<Language>,
    text_ids: HashMap<Language, u32>,
    /// The number of each network, by formula and level.
    ids: HashMap<(Node, Level), NetId>,
    /// The JSON Pointer of each network's schema, for networks of a single schema.
    pub places: HashMap<NetId, String>,
    /// Networks that are called but not made yet.
    open: Vec<(Node, Level, NetId)>,
    arrows: usize,
}

impl Nets {
    pub fn text(&mut self, language: Language) -> Label {
        if let Some(&known) = self.text_ids.get(&language) {
            return Label::Text(known);
        }
        let new = self.texts.len() as u32;
        self.texts.push(language.clone());
        self.text_ids.insert(language, new);
        Label::Text(new)
    }

    pub fn call(&mut self, node: Node, level: Level) -> Label {
        let new = self.nets.len();
        let id = *self.ids.entry((node, level)).or_insert(new);
        if id == new {
            self.nets.push(Net::default());
            self.open.push((node, level, id));
        }
        Label::Call(id)
    }

    pub fn count(&mut self, arrows: usize, what: &str) -> Result<()> {
        self.arrows += arrows;
        if self.arrows > ARROWS {
            return Err(Error::too_large(format!("{what} takes a network of more than {ARROWS} arrows"))
                .help("use fewer keys or smaller counts"));
        }
        Ok(())
    }
}

/// White space around the tokens of a value.
pub(super) struct Style {
    whitespace: Whitespace,
    pub any_order: bool,
}

impl Style {
    fn any(&self) -> &'static str {
        if self.whitespace == Whitespace::Any { r"[ \t\n\r]*" } else { "" }
    }
    fn indented(&self, level: Level) -> String {
        level.map_or(String::new(), |level| format!("\n{}", "  ".repeat(level as usize)))
    }
    fn spaced(&self, level: Level, text: &str) -> Language {
        let text = regex_syntax::escape(text);
        let any = self.any();
        let after = match (self.whitespace, level) {
            (Whitespace::Pretty, None) if text != "\\[" && text != "\\{" => " ".into(),
            _ => self.indented(level),
        };
        Language::Regex(format!("{any}{text}{any}{after}"))
    }
    /// `[` or `{`, before the first item.
    pub fn open(&self, level: Level, bracket: &str) -> Language {
        match self.whitespace {
            Whitespace::Any => Language::Regex(format!("{}{}", regex_syntax::escape(bracket), self.any())),
            _ => self.spaced(level.map(|l| l + 1), bracket),
        }
    }
    pub fn comma(&self, level: Level) -> Language {
        self.spaced(level.map(|l| l + 1), ",")
    }
    /// `]` or `}`, after the last item.
    pub fn close(&self, level: Level, bracket: &str) -> Language {
        let bracket = regex_syntax::escape(bracket);
        Language::Regex(format!("{}{}{bracket}", self.any(), self.indented(level)))
    }
    pub fn empty(&self, open: &str, close: &str) -> Language {
        Language::Regex(format!("{}{}{}", regex_syntax::escape(open), self.any(), regex_syntax::escape(close)))
    }
    /// The language between a key and its value.
    pub fn colon(&self) -> Language {
        match self.whitespace {
            Whitespace::Compact => Language::literal(":"),
            Whitespace::Pretty => Language::literal(": "),
            Whitespace::Any => Language::Regex(format!("{0}:{0}", self.any())),
        }
    }
}

impl Compiler<'_> {
    pub fn style(&self) -> Style {
        Style { whitespace: self.options.whitespace, any_order: self.options.key_order == KeyOrder::Any }
    }

    /// The networks of all values of a formula. The first one is the whole text.
    pub fn networks(&mut self, root: Node) -> Result<Nets> {
        let pretty = self.options.whitespace == Whitespace::Pretty;
        let mut flat = self.networks_from(root, None, &Default::default())?;
        if pretty {
            // Indentation depends on the depth of a value. Values that may stand at any depth are written on one line.
            let recursive = flat.recursive();
            let ids = flat.ids.iter().filter(|(_, id)| recursive[**id]).map(|((node, _), _)| *node);
            let recursive = ids.collect();
            flat = self.networks_from(root, Some(0), &recursive)?;
        }
        Ok(flat)
    }

    /// The networks that the values of `root` need; values of `inline` are written on one line.
    fn networks_from(&mut self, root: Node, level: Level, inline: &std::collections::HashSet<Node>) -> Result<Nets> {
        let mut nets = Nets::default();
        let mut whole = Net { accepting: vec![false, false, false, true], ..Net::default() };
        let space = match self.options.whitespace {
            Whitespace::Any => nets.text(Language::regex(r"[ \t\n\r]*")),
            _ => nets.text(Language::literal("")),
        };
        nets.nets.push(Net::default());
        let value = nets.call(root, level.filter(|_| !inline.contains(&root)));
        whole.arrows = vec![(0, space, 1), (1, value, 2), (2, space, 3)];
        nets.nets[0] = whole;
        while let Some((node, level, id)) = nets.open.pop() {
            let net = self.values_net(node, level, inline, &mut nets).map_err(|e| self.blame(node, e))?;
            nets.count(net.arrows.len(), "the schema")?;
            nets.nets[id] = net;
            nets.places.extend(self.schema_of(node).map(|schema| (id, self.place(schema).pointer.to_string())));
        }
        Ok(nets)
    }

    /// The network of the values of a formula.
    fn values_net(
        &mut self,
        node: Node,
        level: Level,
        inline: &std::collections::HashSet<Node>,
        nets: &mut Nets,
    ) -> Result<Net> {
        let values = self.expand(node)?;
        let mut net = Net { accepting: vec![false, true], ..Net::default() };
        let mut scalars = Vec::new();
        for (present, word) in [(values.null, "null"), (values.booleans[0], "false"), (values.booleans[1], "true")] {
            if present {
                scalars.push(Language::literal(word));
            }
        }
        scalars.extend(self.numbers(&values.numbers)?);
        if !self.texts.is_empty(&values.strings)? {
            scalars.push(quoted(values.strings.clone()));
        }
        if !scalars.is_empty() {
            let all = if scalars.len() == 1 { scalars.swap_remove(0) } else { Language::Union(scalars) };
            net.arrows.push((0, nets.text(all), 1));
        }
        let inner = |node: Node| level.filter(|_| !inline.contains(&node)).map(|l| l + 1);
        for shape in &values.arrays {
            self.array_net(shape, level, &inner, &mut net, nets)?;
        }
        for shape in &values.objects {
            self.object_net(shape, level, &inner, &mut net, nets)?;
        }
        Ok(net)
    }

    /// The language of the numbers as they are written; `None` where there are none.
    fn numbers(&mut self, numbers: &Language) -> Result<Option<Language>> {
        if let Some(list) = text::literals(numbers) {
            return Ok((!list.is_empty()).then(|| numbers.clone()));
        }
        let canonical = self.texts.and(&Language::regex(number::NUMBER), numbers)?;
        if self.texts.is_empty(&canonical)? {
            return Ok(None);
        }
        let fractions = Language::Intersect(vec![canonical.clone(), Language::regex(number::INTEGER).not()]);
        let integers = self.texts.is_empty(&fractions)?;
        let written = number::written(&canonical, integers);
        // If the schema allows only numbers with more digits than are usually written, those are written.
        Ok(Some(if self.texts.is_empty(&written)? { canonical } else { written }))
    }
}

/// A string in quotation marks.
pub(super) fn quoted(decoded: Language) -> Language {
    match text::literals(&decoded) {
        Some(list) => text::list_of(list.iter().map(|t| quote(t)).collect::<Vec<_>>().iter().map(String::as_str)),
        None => {
            let mark = || Language::literal("\"");
            Language::Concat(vec![mark(), Language::JsonEscaped(Box::new(decoded)), mark()])
        }
    }
}

pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Nets {
    /// Whether the networks have no text; only valid after `prune`.
    pub fn is_empty(&self) -> bool {
        self.nets[0].arrows.is_empty()
    }

    /// For each network whether it has a text. Arrows that lead to no accepting node are removed.
    pub fn prune(&mut self) {
        let mut productive = vec![false; self.nets.len()];
        loop {
            let mut changed = false;
            for id in 0..self.nets.len() {
                if !productive[id] && self.nets[id].completes(&productive) {
                    productive[id] = true;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        for net in &mut self.nets {
            net.trim(&productive);
        }
        if !productive.first().copied().unwrap_or(false) {
            self.nets.truncate(1);
            self.nets[0] = Net { arrows: Vec::new(), accepting: vec![false] };
        }
    }

    /// For each network whether it calls itself, directly or through others.
    pub fn recursive(&self) -> Vec<bool> {
        let components = self.components();
        let mut size = vec![0; self.nets.len()];
        components.iter().for_each(|&c| size[c] += 1);
        (0..self.nets.len()).map(|id| size[components[id]] > 1 || self.nets[id].calls().any(|to| to == id)).collect()
    }

    /// Strongly connected components (Tarjan 1972), without recursion; numbered so that callees come before callers.
    pub fn components(&self) -> Vec<usize> {
        let calls: Vec<Vec<NetId>> = self.nets.iter().map(|net| net.calls().collect()).collect();
        let count = calls.len();
        let (mut index, mut low) = (vec![usize::MAX; count], vec![0; count]);
        let (mut component, mut on_stack) = (vec![usize::MAX; count], vec![false; count]);
        let (mut next, mut components) = (0, 0);
        let (mut stack, mut path) = (Vec::new(), Vec::new());
        for root in 0..count {
            if index[root] != usize::MAX {
                continue;
            }
            path.push((root, 0));
            while let Some((id, at)) = path.pop() {
                if at == 0 {
                    index[id] = next;
                    low[id] = next;
                    next += 1;
                    stack.push(id);
                    on_stack[id] = true;
                } else {
                    low[id] = low[id].min(low[calls[id][at - 1]]);
                }
                let mut at = at;
                let mut descended = false;
                while let Some(&to) = calls[id].get(at) {
                    at += 1;
                    if index[to] == usize::MAX {
                        path.push((id, at));
                        path.push((to, 0));
                        descended = true;
                        break;
                    }
                    if on_stack[to] {
                        low[id] = low[id].min(index[to]);
                    }
                }
                if !descended && low[id] == index[id] {
                    while let Some(member) = stack.pop() {
                        on_stack[member] = false;
                        component[member] = components;
                        if member == id {
                            break;
                        }
                    }
                    components += 1;
                }
            }
        }
        component
    }
}

impl Net {
    fn usable(label: Label, productive: &[bool]) -> bool {
        match label {
            Label::Text(_) => true,
            Label::Call(net) => productive[net],
        }
    }

    /// Whether an accepting node can be reached.
    fn completes(&self, productive: &[bool]) -> bool {
        let reached = self.reached(productive);
        self.accepting.iter().zip(reached).any(|(&accepting, reached)| accepting && reached)
    }

    fn reached(&self, productive: &[bool]) -> Vec<bool> {
        let mut from: Vec<Vec<u32>> = vec![Vec::new(); self.accepting.len()];
        for &(a, label, b) in &self.arrows {
            if Self::usable(label, productive) {
                from[a as usize].push(b);
            }
        }
        flood(&from, [0])
    }

    /// Keeps the arrows on paths from the start to an accepting node.
    fn trim(&mut self, productive: &[bool]) {
        let reached = self.reached(productive);
        let mut into: Vec<Vec<u32>> = vec![Vec::new(); self.accepting.len()];
        for &(a, label, b) in &self.arrows {
            if Self::usable(label, productive) {
                into[b as usize].push(a);
            }
        }
        let goals = (0..).zip(&self.accepting).filter(|(_, accepting)| **accepting).map(|(node, _)| node);
        let useful = flood(&into, goals.collect::<Vec<u32>>());
        let alive = |node: u32| reached[node as usize] && useful[node as usize];
        self.arrows.retain(|&(a, label, b)| Self::usable(label, productive) && alive(a) && alive(b));
    }
}

fn flood(next: &[Vec<u32>], from: impl IntoIterator<Item = u32>) -> Vec<bool> {
    let mut found = vec![false; next.len()];
    let mut open: Vec<u32> = from.into_iter().collect();
    while let Some(node) = open.pop() {
        if let Some(seen) = found.get_mut(node as usize)
            && !std::mem::replace(seen, true)
        {
            open.extend(&next[node as usize]);
        }
    }
    found
}
