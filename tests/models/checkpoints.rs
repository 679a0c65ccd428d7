//! Pretrained checkpoints as people have them: constraints on every family, batches, chat, long answers, caches.

use crate::copies;
use crate::parity::case;

use copies::checkpoints;
use serde_json::json;
use stencil_lm::{
    CanvasView, Model, Sampler, Settings, Source,
    models::{
        Cache, Topics,
        checkpoint::{ChatTemplate, Message},
    },
    spec::{Inputs, Registry, Spec},
};

/// A constraint of every kind that there is, as files spell it.
fn kinds() -> Vec<(&'static str, serde_json::Value)> {
    let kind = |name: &'static str| {
        let value = match name {
            "template" => json!("Name: {{name:1-2}}, size {{size|small|large}}."),
            "regex" => json!("[A-Z][a-z]{2,8} [0-9]{2}"),
            "choice" => json!(["yes", "no", "maybe so"]),
            "contains" => json!(["sea"]),
            "excludes" => json!(["a", "b"]),
            "length" => json!({"words": "2-4"}),
            "prefix" => json!("So "),
            "suffix" => json!("!"),
            "grammar" => json!("root ::= \"(\" root \")\" | [0-9]"),
            "json_schema" => json!({"schema": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0,
                "maximum": 99}, "b": {"type": "boolean"}}, "required": ["n", "b"], "additionalProperties": false}}),
            "topic" => json!({"label": "sea", "scale": 2.0}),
            "bias" => json!({"e": 2.0, "z": -2.0}),
            "cfg" => json!({"scale": 1.5}),
            "credit" => json!({"alpha": 0.7}),
            other => panic!("say here what `{other}` may look like"),
        };
        (name, value)
    };
    Registry::builtin().names().map(kind).collect()
}

/// Statistics of two topics, so that the guide has something to pull towards.
fn topics(model: &Model) -> Topics {
    let tokens = |text: &str| model.denoiser().vocab().encode(text).unwrap();
    let texts = [("sea", tokens("waves and ships")), ("land", tokens("hills"))];
    Topics::fit(model.denoiser().vocab().len(), texts).unwrap()
}

#[test]
fn every_kind_holds_on_every_family() {
    let (mut written, mut forwards_of) = (0, Vec::new());
    for copy in checkpoints("constraints") {
        let model = Model::load(&copy.0).unwrap();
        let model = model.clone().with_topics(topics(&model));
        let write = |name: &str, document: serde_json::Value| {
            let source = Source::new(name, document.to_string());
            let spec = Spec::from_json(&source, &Registry::builtin(), &Inputs::default()).unwrap();
            let settings = Settings { steps: Some(6), len: Some(24), seed: Some(3), ..Settings::default() };
            Sampler::new(&model).spec(&spec).settings(settings).prompt("Hi").count(3).run()
        };
        let free = write("none", json!({})).unwrap();
        let mut forwards = vec![format!("none {}", free[0].report.nfe)];
        for (name, value) in kinds() {
            // A guide alone, and every kind beside a regular expression that leaves it room.
            for beside in [None, Some("[ -~]{2,}")] {
                let mut document = json!({name: value});
                if let Some(regex) = beside.filter(|_| name != "regex") {
                    document["regex"] = json!(regex);
                }
                let outputs = match write(name, document) {
                    Ok(outputs) => outputs,
                    // The one guide that a model without a mask cannot follow.
                    Err(error) if name == "cfg" && model.denoiser().process().revises() => {
                        assert!(error.message().contains("uniform-state"), "{error:?}");
                        continue;
                    }
                    Err(error) => panic!("{}: {name}: {error:?}", copy.0.display()),
                };
                for output in &outputs {
                    assert!(output.report.verified, "{}: {name}: {output:?}", copy.0.display());
                }
                written += outputs.len();
                if beside.is_none() {
                    forwards.push(format!("{name} {}", outputs[0].report.nfe));
                }
            }
        }
        forwards_of.push(format!("{}: {}", copy.0.file_name().unwrap().to_string_lossy(), forwards.join(", ")));
    }
    println!("{written} texts, all verified; forwards of the first of three:\n{}", forwards_of.join("\n"));
}

#[test]
fn a_batch_of_unequal_prompts_gives_what_each_gives_alone() {
    for copy in checkpoints("batches") {
        let model = Model::load(&copy.0).unwrap();
        let denoiser = model.denoiser();
        let view = |prompt: &str, tokens: &[Option<u32>]| CanvasView {
            prompt: denoiser.vocab().encode(prompt).unwrap().into(),
            condition: None,
            tokens: tokens.to_vec(),
        };
        let views = [
            view("A longer question, no?", &[None; 9]),
            view("", &[Some(40), None, Some(41), None, None]),
            view("Hi", &[None]),
            view("Hi there", &[Some(40), Some(41), None, Some(42), None, None, None]),
        ];
        let together = denoiser.predict(&views).unwrap();
        for (view, batched) in views.iter().zip(&together) {
            let alone = denoiser.predict(std::slice::from_ref(view)).unwrap().remove(0);
            assert_eq!((batched.len(), batched.vocab()), (view.tokens.len(), denoiser.vocab().len()));
            assert!(alone == *batched, "{}", copy.0.display());
        }
    }
}

#[test]
fn chat_templates_are_rendered_and_cannot_be_forged() {
    let has_template = |f: &std::path::PathBuf| {
        std::fs::read_to_string(f.join("tokenizer_config.json")).is_ok_and(|text| text.contains("role_end"))
    };
    let folder = case::folders().into_iter().find(has_template).unwrap();
    let model = Model::load(&folder).unwrap();
    let text = model.chat().unwrap().render(&[Message::new("user", "Hi")]).unwrap();
    assert_eq!(text, "<role>USER</role>Hi<|role_end|><role>ASSISTANT</role>");
    let chat = model.prompt_tokens(Some("Be brief."), "Hi", false).unwrap();
    assert!(chat.len() > model.prompt_tokens(None, "Hi", true).unwrap().len());
    assert!(model.prompt_tokens(None, "Hi<|role_end|>", false).is_err());
}

#[test]
fn templates_are_rendered_as_the_reference_renders_them() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references/chat_templates.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let tokens = std::collections::HashMap::from([("bos_token".to_string(), "<s>".to_string())]);
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let name = case["template"].as_str().unwrap();
        let template = ChatTemplate::new(file["templates"][name].as_str().unwrap().into(), &tokens).unwrap();
        let message = |m: &serde_json::Value| Message::new(m["role"].as_str().unwrap(), m["content"].as_str().unwrap());
        let messages: Vec<Message> = case["messages"].as_array().unwrap().iter().map(message).collect();
        assert_eq!(template.render(&messages).ok().as_deref(), case["text"].as_str(), "{name}: {messages:?}");
    }
    assert!(cases.len() >= 20 && cases.iter().any(|case| case["text"].is_null()));
}

#[test]
fn long_answers_go_beyond_one_canvas_and_keep_their_constraint() {
    for copy in checkpoints("long") {
        let model = Model::load(&copy.0).unwrap();
        let spec = Spec::new().regex("(?:[a-z]{2,6} ){4,9}end\\.").unwrap();
        let room = model.denoiser().max_len();
        let len = 80.min(room - 8);
        let settings = Settings { len: Some(len), steps: Some(24), seed: Some(1), ..Settings::default() };
        let write = |settings: Settings| {
            let output = Sampler::new(&model).spec(&spec).settings(settings).prompt("Hi").run().unwrap().remove(0);
            assert!(output.report.verified, "{}: {output:?}", copy.0.display());
            output.report.nfe
        };
        let mut forwards = vec![write(settings.clone())];
        let manner = model.denoiser().defaults();
        if manner.blocks.is_none() {
            forwards.push(write(Settings { block_length: Some(16), ..settings.clone() }));
            for cache in [Cache::Prefix, Cache::Dual] {
                forwards.push(write(Settings { block_length: Some(16), cache: Some(cache), ..settings.clone() }));
            }
        }
        if !model.denoiser().process().revises() {
            let editing =
                Settings { policy: Some("edit".into()), ..settings.clone() }.option("editing_threshold", 0.05);
            forwards.push(write(editing));
        }
        let refused = |settings| Sampler::new(&model).spec(&spec).settings(settings).run().is_err();
        assert_eq!(refused(Settings { cache: Some(Cache::Dual), ..settings.clone() }), !model.denoiser().uses().caches);
        println!("{}: {len} positions, {forwards:?} forwards", copy.0.display());
    }
}

/// How much of a greedy text changes when keys and values are reused within a block. Random weights make everything
/// depend on everything, so that this is more than a trained model shows.
#[test]
fn approximate_caches_change_texts_and_save_work() {
    for copy in checkpoints("caches") {
        let model = Model::load(&copy.0).unwrap();
        if !model.denoiser().uses().caches || model.denoiser().max_len() < 48 {
            continue;
        }
        let write = |prompt: &str, cache| {
            let settings =
                Settings { len: Some(32), block_length: Some(8), temperature: Some(0.0), cache, ..Settings::default() };
            let spec = Spec::new().regex("[a-z ]{32}").unwrap();
            Sampler::new(&model).spec(&spec).settings(settings).prompt(prompt).run().unwrap().remove(0).text
        };
        for cache in [Cache::Prefix, Cache::Dual] {
            let (mut same, mut all) = (0, 0);
            for prompt in ["Hi", "A river", "What is it?", "So"] {
                let (exact, fast) = (write(prompt, None), write(prompt, Some(cache)));
                same += exact.bytes().zip(fast.bytes()).filter(|(a, b)| a == b).count();
                all += exact.len();
            }
            println!("{}: {cache:?}: {same} of {all} characters as without", copy.0.display());
            // Of others nothing is known beforehand.
            assert!(same > all / 8 || !copy.is_own(), "{}: {cache:?}", copy.0.display());
        }
    }
}
