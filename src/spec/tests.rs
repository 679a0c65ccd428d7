//! Refused files: the messages, positions and help.

use super::*;
use crate::{Check, ErrorKind, constraints::Template};
use schemars::JsonSchema;
use serde::Deserialize;

fn inputs(pairs: &[(&'static str, &'static str)]) -> Inputs {
    pairs.iter().copied().collect()
}

/// The error of a template and the text it points at.
#[track_caller]
fn refused(template: &str) -> (Error, &str) {
    let error = Template::parse(template, &Inputs::default()).err().expect("refused");
    let span = error.span().expect("a place");
    (error, &template[span])
}

#[track_caller]
fn toml(text: &str) -> Result<Spec> {
    Spec::from_toml(&Source::new("a.toml", text), &Registry::builtin(), &Inputs::default())
}

fn json(text: &str) -> Result<Spec> {
    Spec::from_json(&Source::new("a.json", text), &Registry::builtin(), &Inputs::default())
}

/// The error of a file and the text it points at.
#[track_caller]
fn refused_file(text: &str) -> (Error, &str) {
    let spec = if text.starts_with('{') { json(text) } else { toml(text) };
    let error = spec.err().expect("refused");
    let span = error.span().expect("a place");
    (error, text.get(span).unwrap_or(""))
}

#[test]
fn templates_are_refused_with_their_place() {
    for (template, place) in [
        ("A {{b", "{{b"),
        ("A {{b and\n{{c}}", "{{b and"),
        ("A {{b|c {{d}}", "{{b|c {{d}}"),
        ("{{a b}}", "b"),
        ("{{a!}}", "!"),
        ("{{1-2}}", "1-2"),
        ("{{a:}}", ""),
        ("{{a:x}}", "x"),
        ("{{a:3-2}}", "3-2"),
        ("{{a:0}}", "0"),
        ("{{a:3 miles}}", "miles"),
        ("{{a:99999999999999999999}}", "99999999999999999999"),
        ("x {{a|}}", "{{a|}}"),
        ("{{a|x|y}} {{a|x|z}}", "{{a|x|z}}"),
        ("{{a:2}} {{a:3}}", "{{a:3}}"),
        ("{{a}} {{a}}", "{{a}}"),
        ("{{a~/[0-9/}}", "["),
        ("{{a~/x(?=y)/}}", "(?="),
        ("{{a~/x/y}}", "y"),
        ("{{a~/x}}", "{{a~/x}}"),
        ("Dear $name,", "$name"),
        ("{{a|$b}}", "$b"),
        ("", ""),
    ] {
        let (error, found) = refused(template);
        assert_eq!(found, place, "{template}: {error:?}");
    }
}

#[test]
fn huge_templates_are_refused_quickly() {
    let start = std::time::Instant::now();
    for part in ["x", "{{a", "{{}}", "____", r"\", "$", "{{a|", "{{a~/"] {
        let text = part.repeat((10 << 20) / part.len());
        assert_eq!(Template::parse(&text, &Inputs::default()).err().unwrap().kind(), ErrorKind::TooLarge, "{part}");
        let text = part.repeat((1 << 20) / part.len());
        let _ = Template::parse(&text, &Inputs::default());
    }
    let bomb = "$x".repeat(1 << 18);
    let value: &'static str = "x".repeat(1 << 16).leak();
    assert!(Template::parse(&bomb, &inputs(&[("x", value)])).err().unwrap().is_too_large());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn inputs_must_have_values_and_be_used() {
    let given = inputs(&[("name", "Ada"), ("nme", "x")]);
    let template = Template::parse("Dear $name, {{text}}", &given).unwrap();
    assert!(template.check("Dear Ada, hello").accepted());
    let error = given.all_used().unwrap_err();
    assert!(error.message().contains("`nme`") && error.helps()[0].contains("$name"), "{error:?}");
    assert!(inputs(&[]).all_used().is_ok());
}

#[test]
fn files_are_refused_with_their_place() {
    for (file, place) in [
        ("tempalte = 'x'", "tempalte"),
        ("regex = 'a('", "("),
        ("regex = \"\\u0061(\"", "\"\\u0061(\""),
        ("regex = '''\na(?!b)'''", "(?!"),
        ("regex = 3", "3"),
        ("template = 'a {{b'", "{{b"),
        ("choice = []", "[]"),
        ("choice = ['a', 2]", "2"),
        ("contains = ['a', '']", "''"),
        ("excludes = { words = ['a'], ignorecase = true }", "ignorecase"),
        ("excludes = { words = ['a', ' '] }", "' '"),
        ("excludes = { ignore_case = true }", "{ ignore_case = true }"),
        ("length = { words = '3-2' }", "3-2"),
        ("length = { wrods = 3 }", "wrods"),
        ("length = {}", "{}"),
        ("length = '5 miles'", "miles"),
        ("length = { chars = -1 }", "-1"),
        ("[sampler]\nstesp = 3", "stesp"),
        ("[sampler]\nsteps = 'x'", "'x'"),
        ("[sampler]\nlayout = 'pined'", "'pined'"),
        ("[sampler]\ntreshold = 0.5", "treshold"),
        ("[sampler]\nthreshold = 1.5", "1.5"),
        ("[sampler]\nthreshold = 'x'", "'x'"),
        ("[sampler]\npost_steps = 2.5", "2.5"),
        ("[sampler]\npost_steps = -1", "-1"),
        ("[sampler]\npolicy = 'confidnce'", "'confidnce'"),
        ("[sampler]\npolicy = 'regex'", "'regex'"),
        ("[sampler]\npolicy = 3", "3"),
        ("[sampler]\npolicy = {}", "{}"),
        ("[sampler.policy]\nthreshold = { at = 1.5 }", "1.5"),
        ("[sampler.policy]\nthreshold = { at = 'x' }", "'x'"),
        ("[sampler.policy]\nthreshold = { threshold = 0.5 }", "threshold"),
        ("[sampler.policy]\nthreshold = 0.5", "0.5"),
        ("[sampler.policy]\nedit = { post_steps = 65 }", "65"),
        ("[sampler.policy]\nspread = { by = 2 }", "by"),
        ("[sampler.policy]\nspread = {}\nremdm = {}", "remdm"),
        ("[sampler.policy]\nregex = 'a'", "regex"),
        ("[sampler.policy]\ntopic = 'food'", "topic"),
        ("[sampler.policy]\ntreshold = {}", "treshold"),
        ("[sampler]\nthreshold = 0.8\n[sampler.policy]\nthreshold = { at = 0.9 }", "{ at = 0.9 }"),
        ("threshold = { at = 0.9 }", "threshold"),
        ("all = [{ remdm = {} }]", "remdm"),
        ("template = '{{x}}'\n[slots.x]\nremdm = {}", "remdm"),
        ("version = 2", "2"),
        ("all = [{ regex = 'a' }, { rgex = 'b' }]", "rgex"),
        ("all = [{ regex = 'a' }, { regex = '[' }]", "["),
        ("all = 3", "3"),
        ("template = '{{x}}'\n[slots.y]\nwords = 2", "y"),
        ("template = '{{x}}'\n[slots.x]\nwords = '2-1'", "'2-1'"),
        ("template = '{{x}}'\n[slots.x]\ntopic = 'food'", "topic"),
        ("template = '{{x}}'\n[slots.x]\nwrods = 2", "wrods"),
        ("template = '{{x:2}}'\n[slots.x]\nwords = 3", "{{x:2}}"),
        ("slots = 3", "3"),
        ("prefix = 1979-05-27", "1979-05-27"),
        ("a = ", ""),
        ("{\"regex\": \"a(\"}", "("),
        ("{\"regex\": \"\\u0061(\"}", "\"\\u0061(\""),
        ("{\"choice\": [\"a\", 1.5]}", "1.5"),
        ("{\"all\": [{}, {\"rgex\": 1}]}", "\"rgex\""),
        ("{\"regex\": \"a\", \"regex\": \"b\"}", ""),
        ("{\"regex\": }", "}"),
    ] {
        let (error, found) = refused_file(file);
        if !place.is_empty() {
            assert_eq!(found, place, "{file}: {error:?}");
        }
    }
}

#[test]
fn reports_show_the_line_and_a_way_out() {
    let error = toml("version = 1\ntempalte = 'x'\n").err().unwrap();
    let report = error.report();
    assert!(report.starts_with("unknown key `tempalte`\n  --> a.toml:2:1\n"), "{report}");
    assert!(report.contains("2 | tempalte = 'x'\n  | ^^^^^^^^"), "{report}");
    assert!(report.contains("did you mean `template`?"), "{report}");
    assert!(report.contains("regex") && report.contains("topic"), "{report}");
}

#[test]
fn json_errors_have_pointers() {
    for (file, pointer) in [
        ("{\"all\": [{}, {\"choice\": [\"a\", 1]}]}", "/all/1/choice/1"),
        ("{\"contains\": {\"words\": [\"a\", \"\"]}}", "/contains/words/1"),
        ("{\"length\": {\"words\": \"x\"}}", "/length/words"),
        ("{\"template\": \"{{x}}\", \"slots\": {\"x\": {\"regex\": \"(\"}}}", "/slots/x/regex"),
        ("{\"sampler\": {\"a/b\": 1}}", "/sampler/a~1b"),
        ("{\"sampler\": {\"eta\": 2}}", "/sampler/eta"),
        ("{\"sampler\": {\"policy\": \"best\"}}", "/sampler/policy"),
        ("{\"sampler\": {\"policy\": {\"edit\": {\"at\": 2}}}}", "/sampler/policy/edit/at"),
        ("{\"sampler\": {\"policy\": {\"edit\": {\"an\": 2}}}}", "/sampler/policy/edit/an"),
    ] {
        assert_eq!(json(file).err().unwrap().json_pointer(), Some(pointer), "{file}");
        let document: Document = serde_json::from_str(file).unwrap();
        let error = Spec::from_document(&document, &Registry::builtin(), &Inputs::default()).err().unwrap();
        assert_eq!(error.json_pointer(), Some(pointer), "{file}");
    }
}

#[test]
fn toml_and_json_mean_the_same() {
    let a = toml("template = '{{a:1-2}} {{b}}'\ncontains = ['x']\n[slots.b]\nchars = 3\n[sampler]\nsteps = 4").unwrap();
    let b = json(
        r#"{"template": "{{a:1-2}} {{b}}", "contains": ["x"], "slots": {"b": {"chars": 3}}, "sampler": {"steps": 4}}"#,
    );
    let b = b.unwrap();
    assert_eq!(a.settings, b.settings);
    for text in ["y x abc", "x abc", "x y abcd", "y z abc"] {
        assert_eq!(a.check(text), b.check(text), "{text}");
    }
    assert_eq!(a.slots("y x abc"), [("a".into(), "y x".into()), ("b".into(), "abc".into())]);
}

#[test]
fn a_policy_is_named_in_short_or_with_its_options() {
    let settings = |text: &str| toml(text).unwrap().settings;
    for (long, short) in [
        ("[sampler.policy]\nthreshold = { at = 0.8 }", "[sampler]\npolicy = 'threshold'\nthreshold = 0.8"),
        ("[sampler.policy]\nspread = {}", "[sampler]\npolicy = 'spread'"),
        (
            "[sampler]\nlow_threshold = 0.5\n[sampler.policy]\nhierarchy = { at = 1 }",
            "[sampler]\npolicy = 'hierarchy'\nthreshold = 1.0\nlow_threshold = 0.5",
        ),
        (
            "[sampler.policy]\nedit = { at = 0.7, editing = 0.6, post_steps = 3 }",
            "[sampler]\npolicy = 'edit'\nthreshold = 0.7\nediting_threshold = 0.6\npost_steps = 3",
        ),
        (
            "[sampler.policy]\nLow-Confidence-Dynamic = { at = 0.8 }",
            "[sampler]\npolicy = 'Low-Confidence-Dynamic'\nthreshold = 0.8",
        ),
        (
            "[sampler.policy]\nentropy_bound = { bound = 0.2, stop = 0.01 }",
            "[sampler]\npolicy = 'entropy_bound'\nentropy_bound = 0.2\nstop_entropy = 0.01",
        ),
        (
            "[sampler.policy]\norigin = { eps = 0.001, temperature = 2 }",
            "[sampler]\npolicy = 'origin'\neps = 0.001\nalg_temp = 2",
        ),
    ] {
        assert_eq!(settings(long), settings(short), "{long}");
        assert!(!settings(long).options.is_empty() || long.contains("spread"));
    }
    let none = json(r#"{"sampler": {"policy": null, "threshold": null, "steps": null}}"#).unwrap();
    assert_eq!(none.settings, Settings::default());
    for kind in crate::policies::KINDS {
        let keys = kind.options.iter().filter_map(|key| Some(format!("{} = {}", key.key, key.default?)));
        let keys = keys.collect::<Vec<_>>().join(", ");
        let long = settings(&format!("[sampler.policy]\n{} = {{ {keys} }}", kind.name));
        PolicyFactory::resolve(None, &long, "confidence").unwrap();
        assert_eq!(long.options.len(), kind.options.iter().filter(|key| key.default.is_some()).count());
    }
}

#[test]
fn policies_and_constraints_have_places_of_their_own() {
    let help = |text: &str| refused_file(text).0.helps().concat();
    assert!(help("threshold = { at = 0.9 }").contains("[sampler.policy]"));
    assert!(help("[sampler.policy]\nregex = 'a'").contains("top of the file"));
    assert!(help("[sampler]\npolicy = 'confidnce'").contains("did you mean `confidence`?"));
    assert!(help("[sampler]\ntreshold = 0.9").contains("did you mean `threshold`?"));
}

/// A policy by its role, and a constraint by what it builds.
#[derive(Deserialize, JsonSchema)]
struct Confused {}

impl Kind for Confused {
    const NAME: &'static str = "threshold";
    const ROLE: Role = Role::Policy;
    fn build(self, _: &BuildCx) -> Result<Part> {
        Ok(Part::constraint(crate::constraints::Choice::new(["a"])?))
    }
}

#[test]
fn a_kind_builds_what_its_role_says() {
    let registry = Registry::builtin().with::<Confused>();
    let source = Source::new("a.toml", "[sampler.policy]\nthreshold = {}");
    let error = Spec::from_toml(&source, &registry, &Inputs::default()).err().unwrap();
    assert!(error.message().contains("registered as a policy"), "{error:?}");
}

#[test]
fn merged_files_both_hold() {
    let (a, b) =
        (toml("prefix = 'a'\n[sampler]\nsteps = 4").unwrap(), toml("suffix = 'b'\n[sampler]\nlen = 9").unwrap());
    let both = a.clone().merge(b).unwrap();
    assert!(both.check("ab").accepted() && !both.check("a").accepted() && !both.check("b").accepted());
    assert_eq!((both.settings.steps, both.settings.len), (Some(4), Some(9)));
    assert!(a.merge(toml("[sampler]\nsteps = 5").unwrap()).is_err());
}

#[test]
fn wrong_files_are_refused() {
    assert_eq!(
        Spec::load("no/such.toml", &Registry::builtin(), &Inputs::default()).err().unwrap().kind(),
        ErrorKind::Io
    );
    assert!(Source::from_bytes("a", b"ab\n\xff".to_vec()).unwrap_err().message().contains("line 2"));
    assert!(toml(&"#".repeat(2 << 20)).err().unwrap().is_too_large());
    assert!(toml(&format!("a{} = 1", ".a".repeat(100_000))).is_err());
    assert!(toml(&format!("a = {}", "[".repeat(100_000))).is_err());
    assert!(json(&format!("{{\"a\": {}", "[".repeat(100_000))).is_err());
    assert!(json(&"{\"a\":".repeat(100_000)).is_err());
}

/// Requires a number of equal words.
#[derive(Deserialize, JsonSchema)]
struct Repeat {
    word: String,
    times: usize,
}

impl Kind for Repeat {
    const NAME: &'static str = "repeat";
    fn build(self, _: &BuildCx) -> Result<Part> {
        if self.times == 0 {
            return Err(Error::input("never").pointer("/times"));
        }
        Ok(Part::constraint(crate::constraints::Choice::new([vec![self.word; self.times].join(" ")])?))
    }
}

#[test]
fn third_party_kinds_are_written_like_built_in_ones() {
    let registry = Registry::builtin().with::<Repeat>();
    let read = |text: &str| Spec::from_toml(&Source::new("a.toml", text), &registry, &Inputs::default());
    assert!(read("repeat = { word = 'ha', times = 3 }").unwrap().check("ha ha ha").accepted());
    let text = "repeat = { word = 'ha', times = 0 }";
    assert_eq!(&text[read(text).err().unwrap().span().unwrap()], "0");
    let schema = registry.json_schema();
    assert!(schema["properties"]["repeat"].is_object() && schema["$defs"]["Repeat"]["properties"]["times"].is_object());
}

/// Hostile inputs, slow or large, are refused or read quickly.
#[test]
fn files_that_ask_for_too_much_are_quick() {
    let slots = |slot: &dyn Fn(usize) -> String| (0..1000).map(slot).collect::<String>();
    let template = |slot: &dyn Fn(usize) -> String| format!("template = '''{}'''", slots(slot));
    let words = |n: usize| (0..n).map(|i| format!("'w{i}',")).collect::<String>();
    for file in [
        template(&|i| format!(r"{{{{a{i}~/\w{{1,60}}/}}}} ")),
        template(&|i| format!(r"{{{{a{i}~/\w{{1,60}}{i}/}}}} ")),
        template(&|i| format!("{{{{a{}|x|y|z}}}} ", i % 6)),
        template(&|i| format!("{{{{a{}|x|y|z}}}} ", i % 2)),
        format!("template = '{{{{x}}}} {{{{x}}}}'\n[slots.x]\nchoice = [{0}]\nexcludes = [{0}]", words(40_000)),
        format!("all = [{}]", r"{ regex = '\pL{1,200}' },".repeat(20_000)),
        format!("all = [{}]", (0..20_000).map(|i| format!(r"{{ regex = '\pL{{1,200}}{i}' }},")).collect::<String>()),
        format!("contains = [{}]", words(80_000)),
        format!("choice = [{}]", words(80_000)),
        "regex = '((a{1,1000}){1,1000}){1,1000}'".to_string(),
        "template = '{{a~/((a{1,1000}){1,1000}){1,1000}/}}'".to_string(),
    ] {
        let start = std::time::Instant::now();
        let spec = toml(&file);
        let shown: String = file.chars().take(80).collect();
        let refused = spec.as_ref().err().map(|e| e.message().to_string());
        if let Ok(spec) = spec {
            spec.check("w1 w2");
        }
        println!("{:?} {shown} {refused:?}", start.elapsed());
        assert!(start.elapsed().as_secs() < 5, "{:?} for {shown}", start.elapsed());
    }
}
