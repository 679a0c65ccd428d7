use super::*;

#[test]
fn bad_configurations_and_data_are_named() {
    let folder = Folder::new("bad");
    let failure = |from: &str, to: &str| {
        let path = folder.config(|c| c.replace(from, to));
        let error = run(&path, options()).unwrap_err();
        assert!(!matches!(error.kind(), ErrorKind::Unsatisfiable | ErrorKind::Interrupted), "{error:?}");
        error.report()
    };
    assert!(failure("warmup", "warm_up").contains("unknown key `warm_up`"));
    assert!(failure("warmup", "warm_up").contains("train.toml:20:1"));
    assert!(failure("held_out = 0.2", "held_out = 1.5").contains("data.held_out is 1.5"));
    assert!(failure("hidden_size = 32", "hidden_size = 30").contains("heads of even size"));
    assert!(failure("corpus.jsonl", "none.jsonl").contains("none.jsonl"));
    assert!(failure("vocab_size = 300", "vocab_size = 200").contains("at least 261"));
    assert!(failure("warmup", "warmpu").contains("did you mean `warmup`?"));
    assert!(failure("held_out = 0.2", "held_out = 1.5").contains("train.toml:6:12"));
    assert!(failure("vocab_size = 300", "").contains("needs a vocab_size"));
    assert!(failure("file = \"corpus.jsonl\"", "").contains("names no file"));
    assert!(
        failure("[optimizer]", "[objective]\nkind = \"causal\"\nmin_t = 0.1\n[optimizer]")
            .contains("objective.min_t is for")
    );
    assert!(failure("[optimizer]", "[objective]\nkind = \"causl\"\n[optimizer]").contains("did you mean `causal`?"));
    assert!(failure("max_len = 40", "max_len = 2").contains("no text is left"));
    assert!(failure("lr = 1e-2", "lr = 1e30").contains("optimizer.lr"));
    assert!(failure("seed = 3", "seed = ").contains("train.toml:3"));

    let path = folder.config(|c| c);
    fs::write(folder.0.join("corpus.jsonl"), "{\"text\": \"a\"}\n{\"text\": 3}\n").unwrap();
    assert!(run(&path, options()).unwrap_err().report().contains("line 2"));
    fs::write(folder.0.join("corpus.jsonl"), "\n").unwrap();
    assert!(run(&path, options()).unwrap_err().report().contains("no texts in"));
}

#[test]
fn the_documented_configuration_is_complete_and_shows_the_defaults() {
    let page = fs::read_to_string("docs/training.md").unwrap();
    let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = Folder::new("documented");
    let path = folder.0.join("train.toml");
    fs::write(&path, text).unwrap();
    let config = TrainConfig::read(&path).unwrap();
    // What differs from the defaults, and what there is no default for.
    let short = r#"
        out = "runs/my-model"
        data = { file = "texts.jsonl", files = ["more/*.txt"], source = [
            { path = "records.jsonl", weight = 2.0, label = "record", unit = "line" }] }
        tokenizer = { vocab_size = 6144 }
        model = { name = "my-model", hidden_size = 192, layers = 4, heads = 6, ff_size = 448, max_len = 96 }
        optimizer = { steps = 5000, batch_tokens = 2048, lr = 2.5e-3 }
        classifier = {}
    "#;
    fs::write(&path, short).unwrap();
    assert_eq!(TrainConfig::read(&path).unwrap(), config);
    fn keys(value: &serde_json::Value) -> Vec<String> {
        match value {
            serde_json::Value::Object(map) => {
                map.iter().flat_map(|(k, v)| [vec![k.clone()], keys(v)].concat()).collect()
            }
            serde_json::Value::Array(items) => items.iter().flat_map(keys).collect(),
            _ => Vec::new(),
        }
    }
    for key in keys(&serde_json::to_value(&config).unwrap()) {
        assert!(text.contains(&format!("{key} =")) || text.contains(&format!("{key}]")), "{key} is not documented");
    }
}
