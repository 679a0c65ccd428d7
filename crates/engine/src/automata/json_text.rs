//! JSON escaping: from the automaton of texts to that of the texts as they are written inside a JSON string.

use super::Limits;
use super::automaton::{Automaton, DEAD, State};
use super::symbols::{Chars, Symbols};
use crate::Result;
use crate::util::FastMap;

/// Control characters that have a letter of their own after the backslash.
const LETTERS: [(char, char); 7] =
    [('"', '"'), ('\\', '\\'), ('b', '\u{8}'), ('f', '\u{c}'), ('n', '\n'), ('r', '\r'), ('t', '\t')];

/// The minimal automaton of the same texts, escaped in the shortest way (RFC 8259, section 7).
pub(super) fn escape(chars: &Automaton<Chars>, limits: &Limits) -> Result<Automaton<Chars>> {
    const WHAT: &str = "the escapes of its characters";
    let special = (0..0x20).filter_map(char::from_u32).chain("\"\\/bfnrtu0123456789abcdef".chars());
    let (symbols, maps) = Chars::join([&chars.symbols, &Chars::single_out(special)].into_iter());
    let width = symbols.width();
    let column = |c: char| symbols.class(c as u32);
    let mut rows: Vec<Vec<State>> = Vec::with_capacity(chars.accept.len());
    for state in 0..chars.accept.len() as State {
        rows.push(maps[0].iter().map(|&class| chars.row(state)[class as usize]).collect());
    }
    // The states behind a backslash depend only on where the escaped characters lead.
    let mut known: FastMap<Vec<State>, State> = FastMap::default();
    for state in 1..chars.accept.len() {
        let target = |c: char| chars.step(state as State, chars.symbols.class(c as u32));
        let escaped: Vec<char> = (0..0x20).filter_map(char::from_u32).chain(['"', '\\']).collect();
        let targets: Vec<State> = escaped.iter().map(|&c| target(c)).collect();
        escaped.iter().for_each(|&c| rows[state][column(c)] = DEAD);
        if targets.iter().all(|&to| to == DEAD) {
            continue;
        }
        if let Some(&after) = known.get(&targets) {
            rows[state][column('\\')] = after;
            continue;
        }
        let mut new = |row: Vec<State>| {
            rows.push(row);
            rows.len() as State - 1
        };
        let mut after = vec![DEAD; width];
        LETTERS.iter().for_each(|&(letter, c)| after[column(letter)] = target(c));
        let mut tens = vec![DEAD; width];
        for ten in 0..2 {
            let mut ones = vec![DEAD; width];
            for one in 0..16 {
                let Some(c) = char::from_u32(16 * ten + one) else { continue };
                if let (Some(digit), false) = (char::from_digit(one, 16), LETTERS.iter().any(|l| l.1 == c)) {
                    ones[column(digit)] = target(c);
                }
            }
            if ones.iter().any(|&to| to != DEAD) {
                tens[column(if ten == 0 { '0' } else { '1' })] = new(ones);
            }
        }
        if tens.iter().any(|&to| to != DEAD) {
            let tens = new(tens);
            let zero = || {
                let mut row = vec![DEAD; width];
                row[column('0')] = tens;
                row
            };
            let second = new(zero());
            let mut first = vec![DEAD; width];
            first[column('0')] = second;
            after[column('u')] = new(first);
        }
        let after = new(after);
        known.insert(targets, after);
        rows[state][column('\\')] = after;
        limits.check(rows.len(), width, WHAT)?;
    }
    let mut accept = chars.accept.clone();
    accept.resize(rows.len(), false);
    Ok(Automaton { symbols, next: rows.concat(), accept, start: chars.start }.minimized())
}

#[cfg(test)]
mod tests {
    use super::super::{Dfa, Limits};
    use crate::language::{Language, Network};

    fn compile(language: &Language) -> Dfa {
        Dfa::compile(language, &Limits::default()).unwrap()
    }

    #[test]
    fn texts_are_written_as_serde_json_writes_them() {
        let texts = ["", "plain", "say \"hi\"", "a\\b", "\u{0}\u{1f}\u{8}\u{c}\n\r\t", "é€😀/", "\u{7f}\u{a0}"];
        let any = compile(&Language::JsonEscaped(Box::new(Language::Any)));
        for text in texts {
            let written = serde_json::to_string(text).unwrap();
            let inside = &written[1..written.len() - 1];
            let one = compile(&Language::JsonEscaped(Box::new(Language::literal(text))));
            assert_eq!(one.shortest().as_deref(), Some(inside));
            assert!(any.accepts(inside.as_bytes()), "{inside}");
            assert!(!one.accepts(format!("{inside}x").as_bytes()));
        }
        for wrong in ["\"", "\\", "\\x", "\\u00", "\\u0041", "\\u000a", "\n", "\\/"] {
            assert!(!any.accepts(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn networks_read_the_paths_of_their_graph() {
        let labels = vec![Language::regex("[ab]*"), Language::literal(","), Language::literal("")];
        let list =
            Network { labels, arrows: vec![(0, 0, 1), (1, 1, 0), (1, 2, 2)], accepting: vec![false, false, true] };
        let list = compile(&Language::Network(Box::new(list)));
        let star = Network { labels: vec![Language::literal("ab")], arrows: vec![(0, 0, 0)], accepting: vec![true] };
        let star = compile(&Language::Network(Box::new(star)));
        for (text, in_list, in_star) in
            [("", true, true), ("ab", true, true), ("abab", true, true), ("a,,b", true, false), ("c", false, false)]
        {
            assert_eq!((list.accepts(text.as_bytes()), star.accepts(text.as_bytes())), (in_list, in_star), "{text}");
        }
        let empty = compile(&Language::Network(Box::new(Network {
            labels: Vec::new(),
            arrows: Vec::new(),
            accepting: Vec::new(),
        })));
        assert!(empty.is_empty());
    }
}
