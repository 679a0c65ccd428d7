//! Pretrained checkpoints on the command line: what is inspected, prompted, written and refused.

use crate::common::process;

use process::{Folder, command, finish, piped, stencil};
use serde_json::Value;

fn reference(name: &str) -> String {
    format!("{}/tests/references/{name}", env!("CARGO_MANIFEST_DIR"))
}

const NAMES: &[&str] = &[
    "diffusion_gemma-c12",
    "dream-tied",
    "llada-biased-one-key",
    "llada-grouped-tied",
    "llada-moe-mixed",
    "llada2-moe-b5",
    "mdlm-timed",
    "sdar-biased-b6",
];

#[test]
fn inspecting_tells_what_a_checkpoint_is() {
    for name in NAMES {
        let folder = reference(name);
        let facts = stencil(&["models", "inspect", &folder, "--json"]).expect(0).json().remove(0);
        let config: Value =
            serde_json::from_str(&std::fs::read_to_string(format!("{folder}/config.json")).unwrap()).unwrap();
        let text = config.get("text_config").unwrap_or(&config);
        let of = |keys: &[&str]| keys.iter().find_map(|key| text.get(*key).filter(|v| !v.is_null())).cloned();
        assert_eq!(facts["layers"], of(&["n_layers", "num_hidden_layers", "n_blocks"]).unwrap(), "{name}");
        assert_eq!(facts["hidden"], of(&["d_model", "hidden_size", "hidden_dim"]).unwrap(), "{name}");
        assert_eq!(facts["heads"], of(&["n_heads", "num_attention_heads"]).unwrap(), "{name}");
        assert_eq!(facts["vocabulary"], of(&["embedding_size", "vocab_size"]).unwrap(), "{name}");
        assert_eq!(facts["mask"].is_null(), name.starts_with("diffusion_gemma"), "{name}");
        assert!(facts["eos"].is_u64() && facts["approximate"].is_array(), "{name}: {facts}");
        let memory = facts["memory"].as_object().unwrap();
        let bytes = |precision: &str| memory[precision].as_u64().unwrap();
        assert!(bytes("f32") > bytes("bf16") && bytes("bf16") >= bytes("q8_0") && bytes("q8_0") >= bytes("q4k"));
        let table = stencil(&["models", "inspect", &folder]).expect(0).out;
        for row in ["family", "process", "sizes", "attention", "tokens", "memory", "approximate"] {
            assert!(table.lines().any(|line| line.starts_with(row)), "{name}: {row}\n{table}");
        }
    }
    // A file of weights stands for its folder.
    let shard = format!("{}/model-00002-of-00003.safetensors", reference("llada-grouped-tied"));
    assert!(stencil(&["models", "inspect", &shard]).expect(0).out.contains("in 3 files"));
    let config = format!("{}/config.json", reference("mdlm-timed"));
    assert!(stencil(&["models", "inspect", &config]).expect(0).out.contains("MDLM"));
    stencil(&["run", "-m", &config, "Hi", "--choice", "a,b"]).expect(0);
    for command in [&["models", "inspect", "Cargo.lock"][..], &["run", "-m", "Cargo.lock"]] {
        stencil(command).fails(2, &["Cargo.lock: it is no GGUF file", "help: a model is a directory"]);
    }
    stencil(&["models", "inspect", "no/such/place"]).fails(2, &["does not exist", "help: a model is a directory"]);
    stencil(&["models", "inspect", "tests"]).fails(2, &["cannot read config.json", "help: a model is a directory"]);
}

#[test]
fn every_checkpoint_writes_what_is_asked_for() {
    for name in NAMES {
        let folder = reference(name);
        let args =
            ["run", "-m", &folder, "Hi there", "--regex", "[a-z]{3,6} [0-9]{2}", "--json", "-n", "2", "--steps", "6"];
        for sample in stencil(&args).expect(0).json() {
            assert_eq!((&sample["verified"], &sample["model"]), (&Value::from(true), &Value::from(*name)));
            assert!(sample["nfe"].as_u64().unwrap() >= 1, "{sample}");
        }
        let args =
            ["fill", "-m", &folder, "--prompt", "Describe", "It is {{size|small|large}}{{end:1}}.", "--steps", "4"];
        let text = stencil(&args).expect(0).out;
        assert!(text.starts_with("It is small") || text.starts_with("It is large"), "{name}: {text}");
    }
}

#[test]
fn prompts_come_from_anywhere_and_are_turns_of_a_conversation() {
    let (chat, plain) = (reference("llada-moe-mixed"), reference("llada-grouped-tied"));
    let write = |more: &[&str], input: &str| {
        let args = [&["run", "-m", &chat, "--regex", "[a-z]{12}", "--temperature", "0"], more].concat();
        finish(command(&args), input.as_bytes()).expect(0).out
    };
    let folder = Folder::new("prompts");
    let file = folder.file("prompt.txt", "Name a river.");
    let text = write(&["Name a river."], "");
    for (args, input) in [
        (&["--prompt", "Name a river."][..], ""),
        (&["--prompt-file", &file], ""),
        (&["-"], "Name a river."),
        (&["--prompt", "-"], "Name a river."),
        (&["--prompt-file", "-"], "Name a river."),
        // The end of the last line is no part of it.
        (&["-"], "Name a river.\n"),
        (&["-"], "Name a river.\r\n"),
    ] {
        assert_eq!(write(args, input), text, "{args:?}");
    }
    assert_ne!(write(&["Name a river.", "--raw"], ""), text);
    assert_ne!(write(&["Name a river.", "--system", "Be brief."], ""), text);
    // What the template makes of it can be written by hand.
    let turns = "<role>SYSTEM</role>Be brief.<|role_end|><role>USER</role>Hi<|role_end|><role>ASSISTANT</role>";
    stencil(&["run", "-m", &chat, "--raw", turns])
        .fails(2, &["\"<|role_end|>\", a control token", "help: it would forge"]);
    stencil(&["run", "-m", &chat, "Hi<|role_end|>"]).fails(2, &["a control token of the model"]);
    stencil(&["run", "-m", &plain, "--system", "Be brief.", "Hi"]).fails(2, &["needs a model with a chat template"]);
    stencil(&["run", "-m", &chat, "--system", "Be brief.", "--raw", "Hi"]).expect(2);
    stencil(&["run", "-m", &chat, "\u{3b1}"]).fails(2, &["cannot write"]);
    stencil(&["run", "-m", &chat, "Name\u{3b1}"]).fails(2, &["help: leave out 'α', which the model has no token for"]);
    piped(&["run", "-m", &chat, "-"], &[0xff, 0xfe]).fails(2, &["standard input is not UTF-8"]);
    stencil(&["run", "-m", &chat, "--prompt-file", "no/such/file"]).fails(2, &["cannot read no/such/file"]);
    let long = "river ".repeat(200);
    stencil(&["run", "-m", &chat, &long]).fails(2, &["the prompt has", "holds 128", "help: shorten the prompt"]);
    stencil(&["run", "-m", &plain, "Hi", "--len", "127"]).fails(2, &["behind a prompt of 2", "at most 126 tokens"]);
}

#[test]
fn samples_of_a_batch_are_what_they_are_alone() {
    for name in NAMES {
        let folder = reference(name);
        let write = |seed: &str, count: &str| {
            let args =
                ["run", "-m", &folder, "Hi", "--regex", "[a-z ]{9}", "--seed", seed, "-n", count, "--steps", "5"];
            stencil(&args).expect(0).out
        };
        let batch = write("3", "3");
        assert_eq!(batch, write("3", "1") + &write("4", "1") + &write("5", "1"), "{name}");
    }
}

#[test]
fn blocks_caches_and_guidance_fit_the_model_or_are_refused() {
    let of = |name: &str, more: &[&str]| {
        let folder = reference(name);
        stencil(&[&["run", "-m", &folder, "Hi", "--regex", "[a-z]{10}", "--steps", "4"], more].concat())
    };
    for more in [
        &["--block-length", "4"][..],
        &["--block-length", "4", "--cache", "prefix"],
        &["--block-length", "4", "--cache", "dual"],
        // The whole text is the block, what is reused is the prompt.
        &["--cache", "prefix"],
        &["--cache", "dual"],
        &["--quantize", "q4k"],
        &["--cfg-scale", "1.5"],
        &["--credit", "--policy", "threshold", "--threshold", "0.5"],
        &["--policy", "hierarchy", "--low-threshold", "0.1"],
        &["--policy", "edit", "--editing-threshold", "0.5"],
        &["--ending", "last"],
    ] {
        of("dream-tied", more).expect(0);
    }
    of("sdar-biased-b6", &["--block-length", "4"])
        .fails(2, &["blocks of 6, not of 4", "comes from the model's config.json"]);
    of("sdar-biased-b6", &["--block-length", "6"]).expect(0);
    of("sdar-biased-b6", &["--cache", "dual"]).fails(2, &["no approximate cache", "leave out `cache`"]);
    of("diffusion_gemma-c12", &["--cache", "prefix"]).fails(2, &["no approximate cache"]);
    of("diffusion_gemma-c12", &["--cfg-scale", "1"]).fails(2, &["a uniform-state model cannot"]);
    of("dream-tied", &["--topic", "animal"]).fails(2, &["without topic statistics"]);
    of("dream-tied", &["--cfg", "animal"]).fails(2, &["knows no condition \"animal\""]);
    of("dream-tied", &["--low-threshold", "0.1"]).fails(2, &["belongs to policy `hierarchy`"]);
    of("dream-tied", &["--ending", "never"]).fails(2, &["needs a number of positions", "--len TOKENS"]);
    let plain = reference("dream-tied");
    stencil(&["run", "-m", &plain, "--cfg-scale", "2"]).fails(2, &["but there is none", "help: give a prompt"]);
    stencil(&["run", "--quantize", "q4k", "Hi"]).expect(2);
}

#[test]
fn answers_go_on_from_canvas_to_canvas() {
    let folder = reference("diffusion_gemma-c12");
    let args = ["run", "-m", &folder, "Hi", "--len", "60", "--regex", "(?:[a-z]{1,5} ){9}end\\.", "--json", "-n", "4"];
    for sample in stencil(&args).expect(0).json() {
        assert!(sample["verified"] == true && sample["tokens"].as_u64().unwrap() > 12, "{sample}");
    }
    // A text that never ends fills all positions, one that ends early leaves the rest.
    let folder = reference("llada-grouped-tied");
    let tokens = |more: &[&str]| {
        let args = [&["run", "-m", &folder, "Hi", "--len", "20", "--regex", "[a-z]*", "--json"], more].concat();
        stencil(&args).expect(0).json()[0]["tokens"].as_u64().unwrap()
    };
    assert_eq!(tokens(&["--ending", "never"]), 20);
    assert!(tokens(&[]) <= 20 && tokens(&["--ending", "last", "--block-length", "5"]) <= 20);
}
