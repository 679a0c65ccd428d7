//! The networks of objects.

use super::{
    Compiler,
    formula::{ANY, NEVER, Node},
    network::{Level, Net, Nets, quoted},
    object::{ObjectShape, Others},
    text,
};
use crate::{Error, Language, Result};
use std::{collections::HashMap, rc::Rc};

/// Most keys whose presence is tracked, with keys in any order.
const TRACKED: usize = 12;
/// Most sets of keys that are distinguished beside the keys with conditions of their own.
const CELLS: usize = 64;
/// Most nodes of an object's network.
const NODES: usize = 60_000;

/// A way to write a member.
#[derive(Debug, Clone)]
struct Way {
    keys: Language,
    node: Node,
    required: bool,
    /// Whether the key must not be written twice.
    once: bool,
    /// The conditions of `exists` that the member fulfils, as bits.
    fulfils: u32,
}

/// The state of a network after a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Read {
    /// With keys in declared order, the index of the next key; in any order, the keys seen, as bits.
    seen: u64,
    some: bool,
    /// The number of keys that are certainly distinct, capped where more make no difference.
    distinct: usize,
    /// The number of members, where it is bounded.
    members: usize,
    /// Whether a key was written that may be written again.
    other: bool,
    fulfilled: u32,
}

impl Compiler<'_> {
    /// Adds the objects of a shape to a network.
    pub fn object_net(
        &mut self,
        shape: &ObjectShape,
        level: Level,
        inner: &dyn Fn(Node) -> Level,
        net: &mut Net,
        nets: &mut Nets,
    ) -> Result<()> {
        let style = self.style();
        let (named, others) = self.ways(shape, style.any_order)?;
        let required = named.iter().filter(|way| way.required).count();
        let mut min = if shape.min > required { shape.min } else { 0 };
        if min > required + 1 && (!others.is_empty() || named.iter().any(|way| !way.once)) {
            let error =
                Error::unsupported("`minProperties` above 1 cannot be kept where keys are free: they must differ")
                    .help("name the keys under `properties`, with `additionalProperties: false`");
            self.keep(&shape.min_at, Err(error), ())?;
            min = 1;
        }
        let max = shape.max.filter(|&max| max < named.len() || !others.is_empty());
        let all = (1u32 << shape.exists.len()) - 1;
        let (open, comma) = (nets.text(style.open(level, "{")), nets.text(style.comma(level)));
        let nothing = nets.text(Language::literal(""));
        let (close, empty) = (nets.text(style.close(level, "}")), nets.text(style.empty("{", "}")));
        let colon = style.colon();
        let label =
            |keys: &Language, nets: &mut Nets| nets.text(Language::Concat(vec![quoted(keys.clone()), colon.clone()]));
        let begin = Read { seen: 0, some: false, distinct: 0, members: 0, other: false, fulfilled: 0 };
        let needed: u64 =
            (0..).zip(&named).filter(|(_, way)| way.required).fold(0, |bits, (i, _)| bits | 1u64 << (i % 64));
        let complete = |read: &Read| {
            let present = match style.any_order {
                true => read.seen & needed == needed,
                false => named.iter().skip(read.seen as usize).all(|way| !way.required),
            };
            present && read.distinct >= min && read.fulfilled == all
        };
        if complete(&begin) {
            net.arrows.push((0, empty, 1));
        }
        let first = net.node(false);
        net.arrows.push((0, open, first));
        // Each state has a node where the object may end, and a node where a member must begin.
        let mut ids: HashMap<Read, (u32, u32)> = HashMap::from([(begin, (first, first))]);
        let mut queue = vec![begin];
        // The node between key and value depends on the value and on what follows.
        let mut values: HashMap<(Node, u32), u32> = HashMap::new();
        while let Some(read) = queue.pop() {
            let (here, next) = ids[&read];
            if read.some && complete(&read) {
                net.arrows.push((here, close, 1));
            }
            let full = max.is_some_and(|max| read.members >= max);
            if full {
                continue;
            }
            if read.some {
                net.arrows.push((here, comma, next));
            }
            let mut reach = |after: Read, net: &mut Net| match ids.get(&after) {
                Some(&pair) => pair,
                None => {
                    let pair = (net.node(false), net.node(false));
                    ids.insert(after, pair);
                    queue.push(after);
                    pair
                }
            };
            if !style.any_order && named.get(read.seen as usize).is_some_and(|way| !way.required) {
                // The next key is left out.
                let (_, to) = reach(Read { seen: read.seen + 1, ..read }, net);
                net.arrows.push((next, nothing, to));
            }
            for (way, seen) in next_ways(&named, &others, &read, style.any_order) {
                let new = way.once || !read.other;
                let after = Read {
                    seen,
                    some: true,
                    distinct: (read.distinct + new as usize).min(min),
                    members: if max.is_some() { read.members + 1 } else { 0 },
                    other: min > 0 && (read.other || !way.once),
                    fulfilled: read.fulfilled | way.fulfils,
                };
                let (to, _) = reach(after, net);
                let value = match values.get(&(way.node, to)) {
                    Some(&value) => value,
                    None => {
                        let value = net.node(false);
                        net.arrows.push((value, nets.call(way.node, inner(way.node)), to));
                        values.insert((way.node, to), value);
                        value
                    }
                };
                let key = label(&way.keys, nets);
                net.arrows.push((next, key, value));
                nets.count(1, "the members of an object")?;
            }
            if ids.len() > NODES {
                return Err(Error::too_large(format!("an object takes more than {NODES} states"))
                    .help("use fewer properties, or `key_order = \"declared\"`"));
            }
        }
        Ok(())
    }

    /// The keys spoken of, and the sets that all other keys fall into.
    fn ways(&mut self, shape: &ObjectShape, any_order: bool) -> Result<(Vec<Way>, Vec<Way>)> {
        let mut named = Vec::new();
        for (key, member) in &shape.keys {
            if member.node != NEVER || member.required {
                let (keys, node) = (Language::literal(&**key), member.node);
                named.push(Way { keys, node, required: member.required, once: true, fulfils: 0 });
            }
        }
        let spoken_of = text::list_of(shape.keys.keys().map(|key| &**key));
        let mut cells = vec![(text::not(&spoken_of), ANY, 0u32)];
        for others in &shape.others {
            cells = self.split(cells, &others.keys, |this, node| this.formulas.and(node, others.node))?;
        }
        for (i, exists) in shape.exists.iter().enumerate() {
            if exists.node != ANY {
                self.keep(&exists.at, Err(hidden(exists)), ())?;
            }
            let mut next = Vec::new();
            for (keys, node, fulfils) in cells {
                let inside = self.texts.and(&keys, &exists.keys)?;
                let outside = self.texts.and(&keys, &text::not(&exists.keys))?;
                next.push((inside, node, fulfils | 1 << i));
                next.push((outside, node, fulfils));
            }
            cells = next;
        }
        let mut free = Vec::new();
        for (keys, node, fulfils) in cells {
            if node == NEVER || self.texts.is_empty(&keys)? {
                continue;
            }
            match text::literals(&keys) {
                Some(list) => named.extend(list.into_iter().map(|key| {
                    let keys = Language::literal(key);
                    Way { keys, node, required: false, once: true, fulfils }
                })),
                None => free.push(Way { keys, node, required: false, once: false, fulfils }),
            }
        }
        if any_order && named.len() > TRACKED {
            // What is optional may come more than once then: the last one counts, and each is right.
            let (tracked, repeated): (Vec<Way>, Vec<Way>) = named.into_iter().partition(|way| way.required);
            if tracked.len() > TRACKED {
                return Err(Error::too_large(format!(
                    "{} required keys in any order: at most {TRACKED} can be kept track of",
                    tracked.len()
                ))
                .help("use `key_order = \"declared\"`"));
            }
            named = tracked;
            free.extend(repeated.into_iter().map(|way| Way { once: false, ..way }));
        }
        Ok((named, free))
    }

    fn split(
        &mut self,
        cells: Vec<(Language, Node, u32)>,
        by: &Language,
        narrowed: impl Fn(&mut Self, Node) -> Node,
    ) -> Result<Vec<(Language, Node, u32)>> {
        let mut next = Vec::new();
        for (keys, node, fulfils) in cells {
            let narrow = narrowed(self, node);
            if narrow == node {
                next.push((keys, node, fulfils));
                continue;
            }
            let inside = self.texts.and(&keys, by)?;
            let outside = self.texts.and(&keys, &text::not(by))?;
            for (keys, node) in [(inside, narrow), (outside, node)] {
                if node != NEVER && !self.texts.is_empty(&keys)? {
                    next.push((keys, node, fulfils));
                }
            }
        }
        if next.len() > CELLS {
            return Err(Error::too_large(format!("the patterns of keys overlap in more than {CELLS} ways")));
        }
        Ok(next)
    }
}

/// The members that may come next, each with what has been seen then.
fn next_ways<'w>(named: &'w [Way], others: &'w [Way], read: &Read, any_order: bool) -> Vec<(&'w Way, u64)> {
    if any_order {
        let unseen = (0..).zip(named).filter(|(i, _)| read.seen & 1 << i == 0);
        let mut ways: Vec<(&Way, u64)> = Vec::new();
        ways.extend(unseen.map(|(i, way)| (way, read.seen | 1 << i)));
        ways.extend(others.iter().map(|way| (way, read.seen)));
        return ways;
    }
    match named.get(read.seen as usize) {
        Some(way) => vec![(way, read.seen + 1)],
        None => others.iter().map(|way| (way, read.seen)).collect(),
    }
}

fn hidden(exists: &Others) -> Error {
    let at: &Rc<str> = &exists.at;
    let key = at.rsplit('/').next().unwrap_or_default();
    Error::unsupported(format!("some member outside of `{key}` must exist, which cannot be kept where keys repeat"))
        .help("say in `properties` which member that is")
}
