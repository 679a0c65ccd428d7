//! The command line as its users meet it: the real binary, its streams, its exit status.

use crate::common::process;

use process::{Folder, command, finish, piped, stencil};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const FIRST: &str = "The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.";

// ---- results ----------------------------------------------------------------------------------------------------

#[test]
fn the_first_command_prints_a_sentence() {
    let ran = stencil(&["fill", FIRST]).expect(0);
    assert_eq!(ran.err, "", "nothing but the result, away from a terminal");
    let shape = regex::Regex::new(r"^The \S+( \S+)? is a (small|large) animal that \S+( \S+){1,5}\.\n$").unwrap();
    assert!(shape.is_match(&ran.out), "{:?}", ran.out);
}

#[test]
fn json_has_the_promised_fields() {
    let ran = stencil(&["fill", FIRST, "--json", "-n", "3", "--seed", "7"]).expect(0);
    let lines = ran.json();
    assert_eq!(lines.len(), 3);
    for (i, line) in lines.iter().enumerate() {
        let mut fields: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        let promised = [
            "constraint_ms",
            "elapsed_ms",
            "exact",
            "log_z",
            "model",
            "nfe",
            "seed",
            "slots",
            "steps",
            "text",
            "tokens",
            "verified",
        ];
        assert_eq!(fields, promised);
        assert_eq!(line["verified"], true);
        assert_eq!(line["seed"], 7 + i as u64);
        let (text, slots) = (line["text"].as_str().unwrap(), line["slots"].as_object().unwrap());
        assert!(slots.values().all(|slot| text.contains(slot.as_str().unwrap())));
    }
    let first = ran.out.lines().next().unwrap();
    let at = |name: &str| first.find(&format!("\"{name}\":")).unwrap();
    assert!(at("animal") < at("size") && at("size") < at("does"), "slots stand in the template's order: {first}");
}

#[test]
fn the_same_seed_gives_the_same_text_whatever_the_threads() {
    let run = |threads: &str, seed: &str| {
        let mut command = command(&["fill", FIRST, "-n", "4", "--temperature", "1", "--seed", seed]);
        finish(
            {
                command.env("RAYON_NUM_THREADS", threads);
                command
            },
            b"",
        )
        .expect(0)
        .out
    };
    let one = run("1", "11");
    assert_eq!(one, run("2", "11"));
    assert_eq!(one, run("1", "11"));
    assert_ne!(one, run("1", "99"));
}

#[test]
fn a_sample_is_what_it_would_be_alone() {
    let batch = stencil(&["fill", FIRST, "-n", "3", "--seed", "5"]).expect(0).out;
    let alone = stencil(&["fill", FIRST, "--seed", "7"]).expect(0).out;
    assert_eq!(batch.lines().nth(2), alone.lines().next());
}

#[test]
fn flags_constrain_together() {
    let ran = stencil(&[
        "run",
        "--contains",
        "water",
        "--excludes",
        "the,a",
        "--length",
        "4-9w",
        "--prefix",
        "A",
        "--suffix",
        ".",
        "--len",
        "24",
        "--seed",
        "3",
    ])
    .expect(0);
    let text = ran.out.trim_end();
    assert!(text.starts_with('A') && text.ends_with('.') && text.contains("water"), "{text:?}");
    assert!((4..=9).contains(&text.split_whitespace().count()), "{text:?}");
}

#[test]
fn a_choice_may_hold_commas() {
    let ran = stencil(&["run", "--choice", r"yes\, sir"]).expect(0);
    assert_eq!(ran.out, "yes, sir\n");
}

#[test]
fn files_and_flags_hold_together() {
    let folder = Folder::new("files");
    let file = folder.file("day.toml", "regex = '(mon|tues|wednes)day'\n[sampler]\nseed = 4\n");
    let ran = stencil(&["run", "-c", &file, "--excludes", "monday", "--json"]).expect(0);
    let line = &ran.json()[0];
    assert!(["tuesday", "wednesday"].contains(&line["text"].as_str().unwrap()), "{line}");
    assert_eq!(line["seed"], 4);
    let ran = stencil(&["run", "-c", &file, "--seed", "5", "--json"]).expect(0);
    assert_eq!(ran.json()[0]["seed"], 5, "a flag wins over the file");
}

#[test]
fn templates_come_from_files_and_standard_input() {
    let folder = Folder::new("templates");
    let file = folder.file("t.txt", "Dear $who,\n\tthe {{thing:1}} is {{state|in|out}}.\n");
    let ran = stencil(&["fill", "-t", &file, "--set", "who=Ann"]).expect(0);
    assert!(ran.out.starts_with("Dear Ann,\n\tthe ") && ran.out.ends_with(".\n"), "{:?}", ran.out);
    assert!(!ran.out.ends_with("\n\n"), "the file's own newline ends the text");
    let ran = piped(&["fill", "-"], b"It is {{state|in|out}}.").expect(0);
    assert!(["It is in.\n", "It is out.\n"].contains(&ran.out.as_str()), "{:?}", ran.out);
    stencil(&["fill", "-t", &file]).fails(2, &["who", "help:"]);
    stencil(&["fill", "-t", &file, "--set", "who=Ann", "--set", "whom=Bob"]).fails(2, &["whom"]);
}

#[test]
fn output_goes_to_a_file_whole_or_not_at_all() {
    let folder = Folder::new("output");
    let file = folder.file("result.txt", "old");
    let ran = stencil(&["run", "--choice", "new", "-o", &file]).expect(0);
    assert_eq!(ran.out, "");
    assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
    stencil(&["run", "--choice", "newer", "--excludes", "newer", "-o", &file]).fails(3, &[]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
    assert_eq!(folder.names(), ["result.txt"], "no draft is left behind");
    stencil(&["run", "--choice", "a", "-o", &folder.path("no/such/folder.txt")]).fails(2, &["no/such"]);
    stencil(&["run", "--choice", "a", "-o", folder.0.to_str().unwrap()]).fails(2, &["directory"]);
}

#[test]
fn a_trace_is_enough_to_redraw_the_run() {
    let folder = Folder::new("trace");
    let file = folder.path("trace.jsonl");
    let ran = stencil(&["fill", FIRST, "-n", "2", "--trace", &file, "--json"]).expect(0);
    let events: Vec<Value> =
        fs::read_to_string(&file).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    for (sample, result) in ran.json().iter().enumerate() {
        let of = |name: &str| {
            let (name, events) = (name.to_string(), events.iter());
            events.filter(move |e| e["event"] == *name && e["sample"] == sample).collect::<Vec<_>>()
        };
        assert_eq!((of("start").len(), of("end").len()), (1, 1));
        let steps = of("step");
        assert_eq!(steps.len() as u64, result["steps"].as_u64().unwrap());
        assert_eq!(of("end")[0]["text"], result["text"]);
        for (i, step) in steps.iter().enumerate() {
            assert_eq!(step["index"], i);
            for pos in step["committed"].as_array().unwrap() {
                assert_ne!(step["cells"][pos.as_u64().unwrap() as usize]["state"], "open");
            }
        }
        let written: String = steps.last().unwrap()["cells"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|cell| cell["text"].as_str())
            .collect();
        assert_eq!(written, result["text"].as_str().unwrap());
    }
    stencil(&["run", "--choice", "a", "--trace", &folder.path("no/trace")]).fails(2, &["trace"]);
}

#[test]
fn watch_away_from_a_terminal_warns_and_draws_nothing() {
    let ran = stencil(&["run", "--choice", "a", "--watch"]).expect(0);
    assert_eq!(ran.out, "a\n");
    assert!(ran.err.starts_with("warning: ") && !ran.err.contains('\x1b'), "{:?}", ran.err);
    assert_eq!(ran.err.lines().count(), 1);
}

#[test]
fn topics_guide_and_never_forbid() {
    for topic in ["food", "food=0.5", "animal=-1.5"] {
        stencil(&["fill", FIRST, "--topic", topic]).expect(0);
    }
    stencil(&["fill", FIRST, "--topic", "foood"]).fails(2, &["foood", "food"]);
    stencil(&["fill", FIRST, "--topic", "food=much"]).fails(2, &["much"]);
    stencil(&["fill", FIRST, "--bias", "river=2", "--bias", "cat=-3"]).expect(0);
    stencil(&["fill", FIRST, "--bias", "river"]).fails(2, &["WORD=NATS"]);
}

// ---- bad input --------------------------------------------------------------------------------------------------

#[test]
fn templates_that_cannot_be_read() {
    stencil(&["fill", "The {{animal is"]).fails(2, &["^", "help:", "template:1:"]);
    stencil(&["fill", "The {{size|}} one"]).fails(2, &["^"]);
    stencil(&["fill", "{{n~(}}"]).fails(2, &["^"]);
    stencil(&["fill"]).fails(2, &["TEMPLATE"]);
    stencil(&["fill", "-t", "no-such-file.txt"]).fails(2, &["no-such-file.txt"]);
    stencil(&["fill", "a", "-t", "b"]).fails(2, &["cannot be used with"]);
}

#[test]
fn expressions_that_cannot_be_kept() {
    stencil(&["run", "--regex", "a("]).fails(2, &["^"]);
    stencil(&["run", "--regex", "(?=a)b"]).fails(2, &["look", "^"]);
    stencil(&["run", "--regex", r"\bword"]).fails(2, &["^", "help:"]);
    stencil(&["run", "--regex", "(a{1,1000}){1,1000}"]).fails(2, &["help:"]);
    stencil(&["run", "--choice", ""]).fails(2, &["empty"]);
    stencil(&["run", "--length", "many"]).fails(2, &["many"]);
}

#[test]
fn constraints_that_contradict_each_other() {
    stencil(&["run", "--choice", "cat", "--excludes", "cat"]).fails(3, &["choice", "excludes", "help:"]);
    stencil(&["run", "--regex", "a+", "--regex", "b+"]).fails(3, &["regex"]);
    stencil(&["run", "--choice", "a rather long text that needs more than two tokens", "--len", "2"])
        .fails(3, &["2", "help:"]);
}

#[test]
fn constraint_files_that_are_wrong() {
    let folder = Folder::new("wrong");
    let unknown = folder.file("unknown.toml", "regex = 'a'\ncontians = ['b']\n");
    stencil(&["run", "-c", &unknown]).fails(2, &["unknown.toml:2:1", "contians", "contains", "^"]);
    let syntax = folder.file("syntax.toml", "regex = \n");
    stencil(&["run", "-c", &syntax]).fails(2, &["syntax.toml:1:", "^"]);
    let empty = folder.file("empty.toml", "choice = []\n");
    stencil(&["run", "-c", &empty]).fails(2, &["empty.toml:1:"]);
    let latin = folder.file("latin.toml", b"regex = '\xe9'\n");
    stencil(&["run", "-c", &latin]).fails(2, &["UTF-8"]);
    stencil(&["run", "-c", "no-such.toml"]).fails(2, &["no-such.toml"]);
    stencil(&["run", "-c", folder.0.to_str().unwrap()]).fails(2, &[]);
}

#[test]
fn input_that_is_no_text() {
    piped(&["fill", "-"], b"The {{x}} \xff").fails(2, &["UTF-8", "byte 10"]);
    piped(&["run", "-"], b"\xff").fails(2, &["UTF-8"]);
    piped(&["fill", "-", "-c", "-"], b"{{x}}").fails(2, &["once"]);
}

#[test]
fn a_template_of_ten_megabytes_is_refused_in_time() {
    let text = "word ".repeat(2 << 20) + "{{x}}";
    let ran = piped(&["fill", "-"], text.as_bytes());
    let code = ran.code;
    assert!([2, 3].contains(&code), "{}", ran.err);
    ran.fails(code, &["help:"]);
    let slots = "{{x:1-3}} ".repeat(1 << 20);
    let ran = piped(&["fill", "-"], slots.as_bytes());
    let code = ran.code;
    assert!([2, 3].contains(&code), "{}", ran.err);
    ran.fails(code, &[]);
}

#[test]
fn flags_out_of_range() {
    let bad: [&[&str]; 8] = [
        &["--steps", "0"],
        &["--len", "0"],
        &["--temperature", "-1"],
        &["--temperature", "hot"],
        &["--top-p", "2"],
        &["--top-k", "0"],
        &["-n", "0"],
        &["--policy", "confidnce"],
    ];
    for flags in bad {
        stencil(&[&["run", "--choice", "a"], flags].concat()).fails(2, &[]);
    }
    stencil(&["run", "--polcy", "random"]).fails(2, &["--policy"]);
    stencil(&["run", "--policy", "random", "--threshold", "0.5"]).fails(2, &["threshold"]);
    stencil(&["fill", FIRST, "--set", "x=1"]).fails(2, &["x"]);
}

fn bundled() -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut folders = fs::read_dir(models).unwrap().map(|e| e.unwrap().path());
    folders.find(|p| p.join("model.safetensors").exists()).unwrap()
}

fn copy_of_model(folder: &Folder) -> PathBuf {
    let copy = folder.0.join("model");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(bundled()).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
        fs::copy(&entry, copy.join(entry.file_name().unwrap())).unwrap();
    }
    copy
}

#[test]
fn models_from_a_directory_write_what_the_bundled_one_writes() {
    let directory = bundled();
    let from_directory = stencil(&["fill", FIRST, "-m", directory.to_str().unwrap()]).expect(0).out;
    assert_eq!(from_directory, stencil(&["fill", FIRST]).expect(0).out);
}

#[test]
fn models_that_are_damaged() {
    stencil(&["run", "-m", "no/such/model"]).fails(2, &["no/such/model"]);
    let folder = Folder::new("model");
    let model = copy_of_model(&folder);
    let dir = model.to_str().unwrap().to_string();
    let run = || stencil(&["run", "--choice", "a", "-m", &dir]);
    run().expect(0);

    let weights = fs::read(model.join("model.safetensors")).unwrap();
    for cut in [0, 4, 100, weights.len() / 2, weights.len() - 1] {
        fs::write(model.join("model.safetensors"), &weights[..cut]).unwrap();
        run().fails(2, &["model.safetensors"]);
    }
    fs::write(model.join("model.safetensors"), b"this is no safetensors file at all").unwrap();
    run().fails(2, &["model.safetensors"]);
    fs::write(model.join("model.safetensors"), &weights).unwrap();

    let tokenizer = fs::read_to_string(model.join("tokenizer.json")).unwrap();
    fs::write(model.join("tokenizer.json"), "{}").unwrap();
    run().fails(2, &["tokenizer"]);
    let mut larger: Value = serde_json::from_str(&tokenizer).unwrap();
    larger["model"]["vocab"]["<surplus>"] = 10_000_000.into();
    fs::write(model.join("tokenizer.json"), larger.to_string()).unwrap();
    run().fails(2, &["tokenizer", "fit"]);
    fs::remove_file(model.join("tokenizer.json")).unwrap();
    run().fails(2, &["tokenizer.json"]);
    fs::write(model.join("tokenizer.json"), &tokenizer).unwrap();

    fs::write(model.join("config.json"), "{\"model_type\": \"unheard-of\"}").unwrap();
    run().fails(2, &["config.json"]);
    fs::remove_file(model.join("config.json")).unwrap();
    run().fails(2, &["config.json"]);
}

// ---- check ------------------------------------------------------------------------------------------------------

#[test]
fn check_tries_the_examples() {
    let folder = Folder::new("check");
    let good = folder.file("good.toml", "regex = 'a+'\naccepts = ['a', 'aa']\nrejects = ['b']\n");
    let wrong = folder.file("wrong.toml", "regex = 'a+'\naccepts = ['ab']\nrejects = ['aaa']\n");
    let faulty = folder.file("faulty.toml", "regexp = 'a+'\n");
    let impossible = folder.file("impossible.toml", "choice = ['a']\nexcludes = ['a']\n");
    let ran = stencil(&["check", &good]).expect(0);
    assert!(ran.out.contains("good.toml: good, 2 accepted, 1 rejected"), "{}", ran.out);
    assert_eq!(ran.err, "");
    let ran = stencil(&["check", &wrong]).expect(1);
    assert!(
        ran.out.contains("2 of 2") && ran.out.contains("accepts[0]") && ran.out.contains("rejects[0]"),
        "{}",
        ran.out
    );
    let ran = stencil(&["check", &faulty, &good, &wrong]).expect(2);
    assert_eq!(ran.out.lines().filter(|l| !l.starts_with(' ')).count(), 3, "every file has its line: {}", ran.out);
    assert!(ran.err.contains("regexp") && ran.err.contains("regex`"), "{}", ran.err);
    let ran = stencil(&["check", &impossible, &good]).expect(3);
    assert!(ran.err.contains("impossible.toml: `choice` and `excludes` contradict"), "{}", ran.err);
    stencil(&["check"]).fails(2, &["FILES"]);
}

#[test]
fn check_shows_where_a_text_leaves_a_constraint() {
    let folder = Folder::new("text");
    let file = folder.file("f.toml", "excludes = ['cat']\n");
    assert_eq!(stencil(&["check", &file, "--text", "the dog"]).expect(0).out, "accepted\n");
    let ran = stencil(&["check", &file, "--text", "the cat"]).expect(1);
    assert!(ran.out.contains("cat") && ran.out.contains("text:1:5") && ran.out.contains('^'), "{}", ran.out);
    assert!(ran.out.contains("must go on"), "it may become \"the cats\": {}", ran.out);
    let date = stencil(&["check", "constraints/date.toml", "--text", "2024-0é-01"]).expect(1);
    assert!(date.out.contains(r#"may begin with "2024-0", not with "2024-0é""#), "{}", date.out);
    let ran = piped(&["check", &file, "--text", "-"], b"a dog").expect(0);
    assert_eq!(ran.out, "accepted\n");
}

#[test]
fn check_answers_questions_in_lines() {
    let questions = [
        r#"{"id": 1, "constraint": {"regex": "a+"}, "text": "aa"}"#,
        r#"{"id": "two", "constraint": {"regex": "a+"}, "text": "aab"}"#,
        r#"{"id": 3, "constraint": {"regex": "a("}, "text": "a"}"#,
        r#"{"id": 4, "constraint": {"regexp": "a"}, "text": "a"}"#,
        r#"{"id": 5, "constraint": {"choice": ["a", "b"]}}"#,
        "no question",
        r#"{"id": 7, "constraint": {"regex": "a+"}, "text": "a", "more": 1}"#,
        r#"{"id": 8, "constraint": {"contains": ["b"], "all": [{"regex": "[ab ]+"}]}, "text": "a b"}"#,
        "",
        r#"{"id": 9, "constraint": {"all": [{"regex": "(?=a)"}]}, "text": "a"}"#,
    ];
    let ran = piped(&["check", "--jsonl"], questions.join("\n").as_bytes()).expect(0);
    assert_eq!(ran.err, "");
    let answers = ran.json();
    let find = |id: Value| answers.iter().find(|a| a["id"] == id).unwrap_or_else(|| panic!("{id}: {}", ran.out));
    assert_eq!(answers.len(), 9);
    assert_eq!(find(1.into()), &serde_json::json!({"id": 1, "accepted": true, "error": null}));
    assert_eq!(find("two".into())["accepted"], false);
    assert_eq!(find(3.into())["error"]["kind"], "input");
    assert_eq!(find(3.into())["error"]["pointer"], "/regex");
    assert!(find(4.into())["error"]["message"].as_str().unwrap().contains("regexp"));
    assert_eq!(find(5.into()), &serde_json::json!({"id": 5, "accepted": null, "error": null}));
    assert_eq!(find(Value::Null)["error"]["kind"], "input");
    assert_eq!(find(7.into())["error"]["kind"], "input", "an unknown key is not ignored");
    assert_eq!(find(8.into())["accepted"], true);
    assert_eq!(find(9.into())["error"]["kind"], "unsupported");
    assert_eq!(find(9.into())["error"]["pointer"], "/all/0/regex");
}

#[test]
fn check_answers_at_once() {
    let mut child = command(&["check", "--jsonl"]).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stdout = BufReader::new(stdout);
    for _ in 0..2 {
        stdin.write_all(b"{\"id\": 1, \"constraint\": {\"regex\": \"a\"}, \"text\": \"a\"}\n").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, "{\"id\":1,\"accepted\":true,\"error\":null}\n");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn check_is_quick() {
    let folder = Folder::new("quick");
    let file = folder.file("f.toml", "regex = '[a-z]+'\naccepts = ['a']\n");
    let fastest = (0..5).map(|_| stencil(&["check", &file]).expect(0).elapsed).min().unwrap();
    // Reading a model takes longer than a second of a busy machine leaves.
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

// ---- the rest ---------------------------------------------------------------------------------------------------

#[test]
fn the_program_describes_itself() {
    let schema: Value = serde_json::from_str(&stencil(&["schema"]).expect(0).out).unwrap();
    assert!(schema["properties"]["regex"].is_object(), "{schema}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stencil(&["completions", shell]).expect(0).out.contains("excludes"));
    }
    assert!(stencil(&["man", "fill"]).expect(0).out.contains(".SH EXAMPLES"));
    stencil(&["man", "fil"]).fails(2, &["fill"]);
    let folder = Folder::new("man");
    stencil(&["man", "--dir", folder.0.to_str().unwrap()]).expect(0);
    assert!(folder.names().contains(&"stencil-check.1".to_string()), "{:?}", folder.names());
    for command in ["fill", "run", "check", "train", "models", "schema", "completions", "man", "doctor"] {
        let help = stencil(&[command, "--help"]).expect(0).out;
        assert!(help.contains("Example"), "{command} has no example");
    }
    assert!(stencil(&["--version"]).expect(0).out.starts_with("stencil "));
}

#[test]
fn the_doctor_finds_a_healthy_installation() {
    let ran = stencil(&["doctor", "--json"]).expect(0);
    let findings = &ran.json()[0];
    assert_eq!(findings["healthy"], true);
    assert!(findings["self_test"]["says"].as_str().unwrap().starts_with("a "));
    assert!(stencil(&["doctor"]).expect(0).out.contains("self test"));
}

#[test]
fn models_can_be_inspected() {
    let listed = stencil(&["models", "--json"]).expect(0).json();
    let inspected = stencil(&["models", "inspect", bundled().to_str().unwrap(), "--json"]).expect(0).json();
    assert_eq!(listed[0]["vocabulary"], inspected[0]["vocabulary"]);
    assert!(listed[0]["topics"].as_array().unwrap().iter().any(|t| t == "food"), "{}", listed[0]);
    stencil(&["models", "inspect", "no/such"]).fails(2, &["no/such"]);
}

#[test]
fn training_needs_a_configuration_that_can_be_read() {
    stencil(&["train", "no-such.toml"]).fails(2, &["no-such.toml"]);
    let folder = Folder::new("train");
    let file = folder.file("train.toml", "nonsense = 1\n");
    stencil(&["train", &file]).fails(2, &["nonsense"]);
}

/// Standard output that nobody reads any more ends the program without a word.
#[cfg(unix)]
#[test]
fn a_broken_pipe_is_quiet() {
    let mut child = command(&["schema"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(err, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = command(&["schema"]);
    command.stdout(full);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
}

/// Ctrl-C: status 130, what is written so far on stderr.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run() {
    let mut command = command(&["run", "--len", "90", "--steps", "90", "-n", "640"]);
    let mut child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{err}");
    assert!(err.starts_with("interrupted") && err.contains("so far: "), "{err}");
}
