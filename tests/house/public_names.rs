//! A public type's name stands for one thing: no two public types of the two crates share one. Read from the sources.

use std::{collections::BTreeMap, fs, path::Path};

/// Adds the public types that the sources in a folder declare, each with the files that declare it.
fn declared(folder: &Path, types: &mut BTreeMap<String, Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // The command line belongs to the program, not to the library.
            if !path.ends_with("src/cli") {
                declared(&path, types);
            }
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some(item) = line.trim_start().strip_prefix("pub ") else { continue };
            let item = item.strip_prefix("unsafe ").unwrap_or(item);
            let Some((kind, rest)) = item.split_once(' ') else { continue };
            if ["struct", "enum", "union", "trait", "type"].contains(&kind) {
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                types.entry(name.into()).or_default().push(path.display().to_string());
            }
        }
    }
}

#[test]
fn no_two_public_types_share_a_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut types = BTreeMap::new();
    declared(&root.join("src"), &mut types);
    declared(&root.join("crates/engine/src"), &mut types);
    assert!(types.len() > 200 && types.contains_key("Runner") && types.contains_key("Language"), "{}", types.len());
    types.retain(|_, files| files.len() > 1);
    assert!(types.is_empty(), "the same name twice: {types:#?}");
}
