//! Tests of the hard kinds by their independent checks.

use crate::{
    Check, Constraint, Source, Verdict,
    constraints::*,
    spec::{Registry, Spec},
};

fn template(text: &str) -> Template {
    Template::parse(text, &Inputs::default()).unwrap()
}

fn file(toml: &str) -> Spec {
    Spec::from_toml(&Source::new("test.toml", toml), &Registry::builtin(), &Inputs::default()).unwrap()
}

fn slots(template: &Template, text: &str) -> Vec<String> {
    template.shape().slots(text).into_iter().map(|(_, text)| text).collect()
}

#[track_caller]
fn accepts(constraint: &dyn Constraint, yes: &[&str], no: &[&str]) {
    for text in yes {
        assert_eq!(constraint.check(text), Verdict::Accept, "{text:?}");
    }
    for text in no {
        assert!(matches!(constraint.check(text), Verdict::Reject { .. }), "{text:?}");
    }
}

#[test]
fn free_slots_are_lines() {
    accepts(&template("{{a}}"), &["x", "x y", "x  y", "x\ty"], &["", " x", "x ", "x\ny", "x\u{2028}y", "\u{a0}x"]);
}

#[test]
fn sized_slots() {
    accepts(&template("{{a:2}}"), &["x y", "ä 𝔘"], &["x", "x  y", " x y", "x y z", "x\ty", "x\u{a0}y"]);
    accepts(&template("{{a:0-1}}!"), &["!", "x!"], &["x y!", " !"]);
    accepts(&template("{{a:2-4 chars}}"), &["xy", "x y", "äöüß"], &["x", "x ", "xyzuv", "x\ny"]);
    accepts(&template("{{a:1 char}}"), &["x", "𝔘"], &["", " ", "xy"]);
    assert!(matches!(template("{{a:2 tokens}}").check("x y"), Verdict::Unknown { .. }));
    accepts(&template("{{a:2 tokens}}."), &[], &["x", " ."]);
}

#[test]
fn tokens_are_counted_where_they_are_known() {
    let t = template("The {{a:2 tokens}}.");
    assert_eq!(t.check_tokens("The cat.", &[b"The", b" c", b"at", b"."]), Verdict::Accept);
    assert!(matches!(t.check_tokens("The cat.", &[b"The", b" cat", b"."]), Verdict::Reject { .. }));
    assert!(matches!(t.check_tokens("The cat.", &[b"The ", b"c", b"at", b"."]), Verdict::Reject { .. }));
    assert!(matches!(t.check_tokens("The cat.", &[b"The", b" ca", b"t."]), Verdict::Reject { .. }));
}

#[test]
fn slots_are_found_leftmost_shortest() {
    assert_eq!(slots(&template("{{a}} is {{b}}"), "this is is it"), ["this", "is it"]);
    assert_eq!(slots(&template("{{a}}{{b}}"), "xyz"), ["x", "yz"]);
    assert_eq!(slots(&template("____ [MASK] {{}}"), "a b c d"), ["a", "b", "c d"]);
    assert_eq!(template("{{}} {{x}} ____").shape().slots("a b c")[2], ("2".into(), "c".into()));
}

#[test]
fn names_used_twice_hold_the_same_text() {
    let t = template("{{a|x|y|xy}}{{b|x|y}} and {{a}}{{b}}");
    accepts(&t, &["xx and xx", "xyy and xyy", "xyx and xyx"], &["xx and xy", "xyy and xyx"]);
    assert_eq!(slots(&t, "xyy and xyy"), ["xy", "y"]);
    assert_eq!(slots(&template(r"{{d~/[0-9]/}}-{{d}}"), "7-7"), ["7"]);
    accepts(&template("{{a|0|1}}{{b}}{{a}}"), &["0x0", "1x1"], &["0x1"]);
}

#[test]
fn long_ambiguous_texts_are_checked_quickly() {
    let t = template(&"{{}}a".repeat(30));
    let start = std::time::Instant::now();
    accepts(&t, &[&"a".repeat(4000)], &[&format!("{}b", "a".repeat(1000))]);
    assert!(!t.check(&format!("{}b", "a".repeat(100_000))).accepted());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn words_have_unicode_boundaries() {
    accepts(
        &Contains::new(["cat"], false).unwrap(),
        &["cat", "a cat.", "concat cat", "cat-like"],
        &["", "Cat", "cats", "concat", "cat_", "caté", "cat\u{301}"],
    );
    accepts(&Contains::new(["C++", "a b"], false).unwrap(), &["C++ a b", "C++x a b"], &["xC++ a b", "C++ a  b"]);
    accepts(&Contains::new(["straße", "σ"], true).unwrap(), &["STRAẞE ς", "Straße Σ"], &["strasse σ"]);
    accepts(&Excludes::new(["cat", "dog"], true).unwrap(), &["", "cats"], &["Cat", "a dog"]);
    assert_eq!(
        Excludes::new(["cat"], false).unwrap().check("a cat"),
        Verdict::Reject { at: 2, why: "\"cat\" is excluded".into() }
    );
}

#[test]
fn lengths_count() {
    let length = |text| Length::parse(text).unwrap();
    accepts(&length("2-3"), &["a b", " a\n b  c "], &["a", "a b c d", ""]);
    accepts(&length("-2c"), &["", "ä𝔘"], &["abc"]);
    accepts(&length("0-1 words"), &["", "  ", "a"], &["a b"]);
    assert_eq!(length("3 tokens").tokens(), (3, 3));
    assert_eq!(length("5-").to_string(), "5 or more");
    for bad in ["", "x", "3-2", "3--4", "99999999999999999999999", "3 miles", "-", "w", "٣"] {
        assert!(Length::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn regexes_match_the_whole_text() {
    let regex = |p| Regex::new(p).unwrap();
    accepts(&regex("a|ab"), &["a", "ab"], &["", "abb", "aba"]);
    accepts(&regex("^(^a$|b)$"), &["a", "b"], &["ab", "a\n"]);
    accepts(&regex("(?x) a # comment"), &["a"], &["a # comment"]);
    accepts(&regex("(?m)^a.$"), &["ab"], &["a\n", "ab\n"]);
    accepts(&regex("(?:(?:a{2}){1,2})?b"), &["b", "aab", "aaaab"], &["ab", "aaab"]);
    assert_eq!(regex("[ab]{1,2}c?").shape().texts().unwrap().len(), 12);
    assert_eq!(regex(r"\d+").shape().texts(), None);
    assert_eq!(regex("((a{256}){300}){1,2}").shape().texts(), None);
    for (bad, span) in [(r"a(?=b)", 1..4), (r"(a)\1", 3..5), (r"a\b", 1..3), ("a(b", 1..2), ("a^b", 1..2)] {
        assert_eq!(Regex::new(bad).unwrap_err().span(), Some(span), "{bad}");
    }
    assert!(Regex::new("(a{1,1000}){1,1000}{1,1000}").unwrap_err().is_too_large());
}

#[test]
fn slots_have_their_own_constraints() {
    let spec = file(
        r#"
        template = "A {{x}} and {{y|red|green|blue}}, {{x}}."
        [slots.x]
        choice = ["cat", "dog", "a b"]
        words = 1
        [slots.y]
        excludes = ["red"]
        "#,
    );
    let yes = |text| assert!(spec.check(text).accepted(), "{text}");
    let no = |text| assert!(!spec.check(text).accepted(), "{text}");
    yes("A cat and green, cat.");
    no("A cat and green, dog.");
    no("A a b and green, a b.");
    no("A cat and red, cat.");
}

#[test]
fn contradictions_in_a_slot_are_unsatisfiable() {
    let toml = "template = '{{x|a|b}}'\n[slots.x]\nexcludes = ['a', 'b']";
    let source = Source::new("x.toml", toml);
    let error = Spec::from_toml(&source, &Registry::builtin(), &Inputs::default()).err().unwrap();
    assert!(error.is_unsatisfiable());
    assert_eq!(&toml[error.span().unwrap()], "{{x|a|b}}");
}
