//! What readers of grammars say about mistakes: the words, the place, the way out.

use stencil_engine::{Check, Result, constraints, language::Grammar};

/// A grammar, the text it is wrong at, and words of the message or its help.
type Case = (&'static str, &'static str, &'static [&'static str]);

#[track_caller]
fn refused(read: impl Fn(&str) -> Result<stencil_engine::language::Parsed>, (text, at, words): &Case) {
    let error = read(text).map(|_| ()).expect_err(text);
    let span = error.span().unwrap_or_else(|| panic!("{text:?}: no place: {}", error.report()));
    assert_eq!(&text[span], *at, "{text:?}: {}", error.report());
    let report = error.report();
    words.iter().for_each(|word| assert!(report.contains(word), "{word:?} is missing in {report}"));
}

#[test]
fn mistakes_in_gbnf_are_shown_where_they_stand() {
    let cases: [Case; 20] = [
        ("root ::= itm\nitem ::= \"a\"", "itm", &["no rule `itm`", "did you mean `item`"]),
        ("rot ::= \"a\"", "", &["no rule `root`"]),
        ("root ::= \"a\nb\"", "\"", &["never closed"]),
        ("root ::= [a-z", "[", &["never closed", "]"]),
        ("root ::= []", "[]", &["empty class"]),
        ("root ::= [z-a]", "z-a", &["'z'", "'a'", "empty"]),
        ("root ::= (\"a\"", "(", &["never closed"]),
        ("root ::= \"a\")", ")", &["never opened"]),
        ("root ::= \"a\"{3", "{", &["never closed"]),
        ("root ::= \"a\"{x}", "{x}", &["repetitions"]),
        ("root ::= \"a\"{5,3}", "{5,3}", &["fewer repetitions"]),
        ("root ::= \"\\q\"", "\\q", &["unknown escape"]),
        ("root ::= \"\\x4\"", "\\x", &["2 hexadecimal digits"]),
        ("root ::= root \"a\"", "root", &["has no text", "an alternative that ends"]),
        ("root ::= a\na ::= \"x\" b\nb ::= \"y\" a", "a", &["has no text"]),
        ("root ::= \"a\"\nroot ::= \"b\"", "root", &["defined twice", "`|`"]),
        ("root ::= <think>", "<", &["tokens of a particular model"]),
        ("root : \"a\"", ":", &["`::=` expected"]),
        ("root ::= \"a\" | *", "*", &["a rule, a text or a class expected"]),
        ("::= \"a\"", ":", &["a rule expected"]),
    ];
    cases.iter().for_each(|case| refused(Grammar::gbnf, case));
}

#[test]
fn mistakes_in_lark_are_shown_where_they_stand() {
    let cases: [Case; 19] = [
        ("start: itm\nitem: \"a\"", "itm", &["no rule `itm`", "did you mean `item`"]),
        ("start: NMBER\n%import common.NUMBER", "NMBER", &["no terminal `NMBER`", "did you mean `NUMBER`"]),
        ("start: WORD", "WORD", &["no terminal `WORD`", "%import common.WORD"]),
        ("%import common.NUMBR\nstart: \"a\"", "NUMBR", &["did you mean `NUMBER`"]),
        ("%import python.NAME\nstart: NAME", "python", &["only `common`"]),
        ("%declare A\nstart: A", "%declare", &["`%declare` is not supported", "%ignore"]),
        ("%override start: \"a\"", "%override", &["not supported"]),
        ("%extend start: \"a\"", "%extend", &["not supported"]),
        ("start: list{\"a\"}\nlist{x}: x", "list", &["templates"]),
        ("start: /a(?=b)/", "/a(?=b)/", &["look-around"]),
        ("start: /a/q", "/a/q", &["flag `q`"]),
        ("start: /a", "/", &["never closed"]),
        ("start: /(/", "/(/", &["pattern"]),
        ("start: \"a", "\"", &["never closed"]),
        ("start: (\"a\"", "(", &["never closed"]),
        ("start: \"a\"~5..3", "~5..3", &["fewer repetitions"]),
        ("start: \"b\"..\"a\"", "\"b\"..\"a\"", &["to a later one"]),
        ("A: b\nstart: A\nb: \"x\"", "b", &["cannot be part of a terminal"]),
        ("A: A \"x\"\nstart: A", "A", &["needs itself"]),
    ];
    cases.iter().for_each(|case| refused(Grammar::lark, case));
}

#[test]
fn rules_that_no_text_uses_are_named() {
    let text = "root ::= \"a\"\nspare ::= \"b\"";
    let parsed = Grammar::gbnf(text).unwrap();
    let [(name, span)] = &parsed.unused[..] else { panic!("{:?}", parsed.unused) };
    assert_eq!((name.as_str(), &text[span.clone()]), ("spare", "spare"));
}

/// A grammar, texts of it, and other texts.
#[test]
fn lark_is_read_as_documented() {
    let cases: [(&str, &[&str], &[&str]); 10] = [
        ("start: \"if\" NAME\nNAME: /[a-z]+/\n%ignore \" \"", &["if x", "ifx", " if  iff "], &["if if", "if", "x"]),
        ("start: \"if\" NAME\nNAME.1: /[a-z]+/", &["ifif", "ifx"], &["if"]),
        ("start: A~2..3 [B] C?\nA: \"a\"i\nB: \"0\"..\"9\"\nC: /x/i", &["aA", "aaa5X", "AAx"], &["a", "aaaa", "aa55"]),
        ("start: sum\nsum: sum \"+\" INT | INT\n%import common.INT", &["1", "1+22"], &["", "+1", "1 + 2"]),
        ("start: (X Y)+\n%import common (LETTER, DIGIT)\nX: LETTER\nY: DIGIT", &["a1", "a1b2"], &["1a", "a"]),
        ("start: N\n%import common.SIGNED_INT -> N", &["-5", "12"], &["1.5"]),
        ("?start: a -> one\n  | b\n!a: \"x\"\nb: \"y\" // ends", &["x", "y"], &["xy"]),
        ("start: \"\\u00e9\" /\\/+/ \"\\n\"", &["é//\n"], &["e/\n"]),
        ("start: a*\na: (\"x\" | )\n", &["", "xxx"], &["y"]),
        ("start: _SEP? ESCAPED_STRING\n_SEP: \";\"\n%import common.ESCAPED_STRING", &["\"a\\\"b\"", ";\"\""], &["\"a"]),
    ];
    for (grammar, good, bad) in cases {
        let constraint = constraints::ContextFree::new(Grammar::lark(grammar).unwrap().grammar).unwrap();
        good.iter().for_each(|text| assert!(constraint.check(text).accepted(), "{grammar}: {text:?}"));
        bad.iter().for_each(|text| assert!(!constraint.check(text).accepted(), "{grammar}: {text:?}"));
    }
}
