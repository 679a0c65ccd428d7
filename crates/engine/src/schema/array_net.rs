//! The networks of arrays.

use super::{
    Compiler,
    array::ArrayShape,
    formula::{NEVER, Node},
    network::{Level, Net, Nets},
    number, text,
    values::Values,
};
use crate::{Error, Language, Result};
use std::collections::HashMap;

/// Most nodes that counting items may take.
const NODES: usize = 50_000;
/// Most distinct values whose uniqueness is kept track of, whatever the number of items.
const DISTINCT: usize = 12;
/// Most distinct values where items are few.
const LISTED: usize = 31;

/// The state of a network after a part of an array.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Read {
    /// The number of items, capped where more make no difference.
    items: usize,
    /// Whether there are any items.
    some: bool,
    /// The number of items in each counted set, capped likewise.
    counts: Vec<usize>,
    /// The listed values that occurred, as bits, where items must differ.
    seen: u32,
    repeated: bool,
}

impl Compiler<'_> {
    /// Adds the arrays of a shape to a network.
    pub fn array_net(
        &mut self,
        shape: &ArrayShape,
        level: Level,
        inner: &dyn Fn(Node) -> Level,
        net: &mut Net,
        nets: &mut Nets,
    ) -> Result<()> {
        let mut shape = shape.clone();
        let distinct = match self.distinct(&shape)? {
            Some(values) => values,
            None => {
                let at = shape.unique.clone().or(shape.repeated.clone()).unwrap_or_default();
                let error = Error::unsupported(
                    "`uniqueItems` can be kept where the items are a few listed values only",
                )
                .help(format!(
                    "list at most {DISTINCT} values with `enum` in `items`, or {LISTED} with a low `maxItems`"
                ));
                self.keep(&at, Err(error), ())?;
                (shape.unique, shape.repeated) = (None, None);
                Vec::new()
            }
        };
        let style = self.style();
        let (open, comma) = (nets.text(style.open(level, "[")), nets.text(style.comma(level)));
        let close = nets.text(style.close(level, "]"));
        let empty = nets.text(style.empty("[", "]"));
        let cap = shape.max.map_or(shape.min, |max| max.saturating_add(1)).max(shape.prefix.len());
        let cap = shape.counts.iter().fold(cap, |cap, count| cap.max(count.from));
        if cap > NODES {
            return Err(self.too_long());
        }
        let begin = Read { items: 0, some: false, counts: vec![0; shape.counts.len()], seen: 0, repeated: false };
        let complete = |read: &Read| {
            let counted = shape.counts.iter().zip(&read.counts);
            shape.min <= read.items
                && counted.into_iter().all(|(count, &n)| n >= count.min)
                && (shape.repeated.is_none() || read.repeated)
        };
        // Node 0 stands before the bracket. Each state has a node after an item and a node after the comma.
        if complete(&begin) {
            net.arrows.push((0, empty, 1));
        }
        let first = net.node(false);
        net.arrows.push((0, open, first));
        let mut ids: HashMap<Read, (u32, u32)> = HashMap::new();
        ids.insert(begin.clone(), (first, first));
        let mut queue = vec![begin];
        while let Some(read) = queue.pop() {
            let (here, next) = ids[&read];
            if read.some && complete(&read) {
                net.arrows.push((here, close, 1));
            }
            let mut ways = Vec::new();
            self.items(&shape, &distinct, &read, cap, &mut ways)?;
            if !ways.is_empty() && read.some {
                net.arrows.push((here, comma, next));
            }
            for (node, after) in ways {
                if ids.len() > NODES {
                    return Err(self.too_long());
                }
                let to = match ids.get(&after) {
                    Some(&(to, _)) => to,
                    None => {
                        let pair = (net.node(false), net.node(false));
                        ids.insert(after.clone(), pair);
                        queue.push(after);
                        pair.0
                    }
                };
                let item = nets.call(node, inner(node));
                net.arrows.push((next, item, to));
            }
        }
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::too_large(format!(
            "counting the items (`minItems`, `maxItems`) of an array takes more than {NODES} states"
        ))
        .help("use smaller numbers, or leave them out")
    }

    /// The formulas of the items that may come next, each with the state after it.
    fn items(
        &mut self,
        shape: &ArrayShape,
        distinct: &[Node],
        read: &Read,
        cap: usize,
        ways: &mut Vec<(Node, Read)>,
    ) -> Result<()> {
        let items = (read.items + 1).min(cap.max(1));
        if shape.max.is_some_and(|max| items > max) {
            return Ok(());
        }
        let node = shape.prefix.get(read.items).copied().unwrap_or(shape.rest);
        let after = Read { items, some: true, ..read.clone() };
        let mut open = vec![(node, after)];
        for (i, count) in shape.counts.iter().enumerate() {
            if read.items < count.from {
                continue;
            }
            let not = self.formulas.not(count.node);
            let most = count.max.map_or(count.min, |max| max + 1);
            let mut split = Vec::new();
            for (node, after) in open {
                let counted = (after.counts[i] + 1).min(most);
                let inside = self.formulas.and(node, count.node);
                // Once there are enough items in the set, further ones make no difference.
                if count.max.is_none() && after.counts[i] >= count.min {
                    split.push((node, after));
                    continue;
                }
                split.push((self.formulas.and(node, not), after.clone()));
                if count.max.is_none_or(|max| counted <= max) {
                    let mut after = after;
                    after.counts[i] = counted;
                    split.push((inside, after));
                }
            }
            open = split;
        }
        for (node, after) in open {
            if distinct.is_empty() {
                if node != NEVER {
                    ways.push((node, after));
                }
                continue;
            }
            for (bit, &value) in distinct.iter().enumerate() {
                let twice = read.seen & 1 << bit != 0;
                if twice && shape.unique.is_some() {
                    continue;
                }
                let node = self.formulas.and(node, value);
                let seen = if after.repeated { 0 } else { read.seen | 1 << bit };
                let repeated = after.repeated || twice;
                let after = Read { seen: if repeated { 0 } else { seen }, repeated, ..after.clone() };
                if node != NEVER {
                    ways.push((node, after));
                }
            }
        }
        Ok(())
    }

    /// A formula for each single value that an item may have, where items must differ; an empty list where they need not.
    /// `None` if the values are too many to be distinguished.
    fn distinct(&mut self, shape: &ArrayShape) -> Result<Option<Vec<Node>>> {
        if shape.unique.is_none() && shape.repeated.is_none() {
            return Ok(Some(Vec::new()));
        }
        let mut values: Vec<Node> = Vec::new();
        for &node in shape.prefix.iter().chain([&shape.rest]) {
            let Some(list) = self.listed(node)? else { return Ok(None) };
            for value in list {
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        // The number of sets of values that may have occurred.
        let (mut sets, mut ways) = (1, 1usize);
        for k in 0..shape.max.unwrap_or(values.len()).min(values.len()) {
            ways = ways.saturating_mul(values.len() - k) / (k + 1);
            sets += ways;
        }
        Ok((values.len() <= LISTED && sets <= 1 << DISTINCT).then_some(values))
    }

    /// The values of a formula, each as a formula, where they are few and neither arrays nor objects.
    fn listed(&mut self, node: Node) -> Result<Option<Vec<Node>>> {
        if node == NEVER {
            return Ok(Some(Vec::new()));
        }
        let values = self.expand(node)?;
        if !values.arrays.is_empty() || !values.objects.is_empty() {
            return Ok(None);
        }
        let numbers = match text::literals(&values.numbers) {
            Some(_) => values.numbers.clone(),
            None => self.texts.and(&Language::regex(number::NUMBER), &values.numbers)?,
        };
        let (Some(numbers), Some(strings)) =
            (self.texts.few(&numbers, LISTED)?, self.texts.few(&values.strings, LISTED)?)
        else {
            return Ok(None);
        };
        let none = Values::none;
        let mut sets = Vec::new();
        if values.null {
            sets.push(Values { null: true, ..none() });
        }
        for b in 0..2 {
            if values.booleans[b] {
                sets.push(Values { booleans: [b == 0, b == 1], ..none() });
            }
        }
        sets.extend(numbers.into_iter().map(|n| Values { numbers: Language::literal(n), ..none() }));
        sets.extend(strings.into_iter().map(|s| Values { strings: Language::literal(s), ..none() }));
        let single = |set: Values| {
            let key = format!("{set:?}");
            *self.singles.entry(key).or_insert_with(|| self.formulas.set(set))
        };
        Ok(Some(sets.into_iter().map(single).collect()))
    }
}
