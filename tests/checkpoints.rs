//! Pretrained checkpoints as people have them: constraints on every family, batches, chat, long answers, caches.

#[path = "parity/case.rs"]
#[allow(dead_code)]
mod case;
#[path = "common/copies.rs"]
#[allow(dead_code)]
mod copies;

use copies::checkpoints;
use serde_json::json;
use stencil_lm::{
    CanvasView, Model, Sampler, Settings, Source,
    models::Cache,
    spec::{Inputs, Spec},
};

#[test]
fn every_constraint_holds_on_every_family() {
    let specs = || -> Vec<(&str, Spec)> {
        let template = Source::new("t", "Name: {{name:1-2}}, size {{size|small|large}}.");
        vec![
            ("none", Spec::new()),
            ("regex", Spec::new().regex("[A-Z][a-z]{2,8} [0-9]{2}").unwrap()),
            ("template", Spec::new().template(&template, &Inputs::default()).unwrap()),
            ("choice", Spec::new().choice(["yes", "no", "maybe so"]).unwrap()),
            ("contains", Spec::new().contains(["sea"]).unwrap()),
            ("excludes", Spec::new().excludes(["a", "b"]).unwrap()),
            ("length", Spec::new().length("2-4w").unwrap()),
            ("prefix and suffix", Spec::new().prefix("So ").suffix("!")),
            ("grammar", Spec::new().grammar("root ::= \"(\" root \")\" | [0-9]").unwrap()),
            (
                "json schema",
                Spec::new()
                    .json_schema(&json!({"type": "object", "properties": {"n": {"type": "integer",
                "minimum": 0, "maximum": 99}}, "required": ["n"], "additionalProperties": false}))
                    .unwrap(),
            ),
        ]
    };
    for copy in checkpoints("constraints") {
        let model = Model::load(&copy.0).unwrap();
        let mut forwards = Vec::new();
        for (kind, spec) in specs() {
            let settings = Settings { steps: Some(6), len: Some(24), seed: Some(3), ..Settings::default() };
            let outputs = Sampler::new(&model).spec(&spec).settings(settings).prompt("Hi").count(2).run();
            let outputs = outputs.unwrap_or_else(|e| panic!("{}: {kind}: {e:?}", copy.0.display()));
            for output in &outputs {
                assert!(output.report.verified, "{}: {kind}: {output:?}", copy.0.display());
            }
            forwards.push(format!("{kind} {}", outputs[0].report.nfe));
        }
        println!("{}: forwards: {}", copy.0.file_name().unwrap().to_string_lossy(), forwards.join(", "));
    }
}

#[test]
fn a_batch_of_unequal_prompts_gives_what_each_gives_alone() {
    for copy in checkpoints("batches") {
        let model = Model::load(&copy.0).unwrap();
        let denoiser = model.denoiser();
        let view = |prompt: &str, tokens: &[Option<u32>]| CanvasView {
            prompt: denoiser.vocab().encode(prompt).unwrap(),
            condition: None,
            tokens: tokens.to_vec(),
        };
        let views = [
            view("A question of some length, is it not?", &[None; 9]),
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
    let Some(folder) = case::folders().into_iter().find(has_template) else { return };
    let model = Model::load(&folder).unwrap();
    let text = model.chat().unwrap().render(&[stencil_lm::models::checkpoint::Message::new("user", "Hi")]).unwrap();
    assert_eq!(text, "<role>USER</role>Hi<|role_end|><role>ASSISTANT</role>");
    let chat = model.prompt_tokens(Some("Be brief."), "Hi", false).unwrap();
    assert!(chat.len() > model.prompt_tokens(None, "Hi", true).unwrap().len());
    assert!(model.prompt_tokens(None, "Hi<|role_end|>", false).is_err());
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
        let manner = model.denoiser().manner();
        if manner.blocks.is_none() {
            forwards.push(write(Settings { block_length: Some(16), ..settings.clone() }));
            for cache in [Cache::Prefix, Cache::Dual] {
                forwards.push(write(Settings { block_length: Some(16), cache: Some(cache), ..settings.clone() }));
            }
        }
        if !manner.revises {
            let editing = Settings { policy: Some("edit".into()), editing_threshold: Some(0.05), ..settings.clone() };
            forwards.push(write(editing));
        }
        let refused = |settings| Sampler::new(&model).spec(&spec).settings(settings).run().is_err();
        assert_eq!(refused(Settings { cache: Some(Cache::Dual), ..settings.clone() }), !manner.caches);
        println!("{}: {len} positions, {forwards:?} forwards", copy.0.display());
    }
}

/// How much of a greedy text changes when keys and values are reused within a block. Random weights make everything
/// depend on everything, so that this is more than a trained model shows.
#[test]
fn approximate_caches_change_texts_and_save_work() {
    for copy in checkpoints("caches") {
        let model = Model::load(&copy.0).unwrap();
        if !model.denoiser().manner().caches {
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
            assert!(same > all / 8, "{}: {cache:?}", copy.0.display());
        }
    }
}
