//! Unsafe code stands in the rooms that are listed here, and nowhere else.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files and folders that may have unsafe code; see "Memory safety" in CONTRIBUTING.md.
const ROOMS: [&str; 3] = ["crates/engine/src/inference/simd/", "src/kernels/", "src/models/checkpoint/map.rs"];

/// Manifests of the crates, which take their lints from the workspace's table; that denies unsafe code.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "crates/engine/Cargo.toml"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code that say `unsafe`, or let the compiler accept it; comments and strings are left out.
fn unsafe_lines(text: &str) -> Vec<usize> {
    let says = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        let code: String = code.split('"').step_by(2).collect();
        let allows = code.contains("allow(unsafe") || code.contains("expect(unsafe");
        allows || code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
    };
    (1..).zip(text.lines()).filter(|(_, line)| says(line)).map(|(number, _)| number).collect()
}

#[test]
fn unsafe_code_stands_in_its_rooms_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in ["src", "crates", "examples", "benches", "tests"] {
        files(&root.join(folder), &mut all);
    }
    assert!(all.len() > 250, "only {} files were found", all.len());
    let mut used = [false; ROOMS.len()];
    for path in all {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        let lines = unsafe_lines(&fs::read_to_string(&path).unwrap());
        match ROOMS.iter().position(|room| name.starts_with(room)) {
            Some(room) => used[room] |= !lines.is_empty(),
            None => assert!(lines.is_empty(), "{name}: unsafe code in lines {lines:?}"),
        }
    }
    assert_eq!(used, [true; ROOMS.len()], "a room without unsafe code need not be listed: {ROOMS:?}");
    for name in MANIFESTS {
        let text = fs::read_to_string(root.join(name)).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{name}");
        assert!(name != MANIFESTS[0] || text.contains("\nunsafe_code = \"deny\""), "{name}");
    }
}

#[test]
fn unsafe_code_is_found_where_it_is() {
    let text = "unsafe { f() }\n// unsafe\nlet unsafely = \"unsafe\";\n#![allow(unsafe_code)]\nunsafe fn f() {} // SAFETY: no\n";
    assert_eq!(unsafe_lines(text), [1, 4, 5]);
}
