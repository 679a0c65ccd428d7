//! `STENCIL_SIMD` forces a level down, in a process of its own: the level is decided once per process.

use std::process::{Command, Output};
use stencil_lm::engine::cpu::Level;

fn stencil(simd: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stencil")).env("STENCIL_SIMD", simd).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const FILL: [&str; 4] = ["fill", "The {{animal:1-2}} is a {{size|small|large}} animal.", "--seed", "3"];

#[test]
fn every_level_of_this_processor_can_be_forced() {
    for level in Level::available() {
        let doctor = stencil(level.name(), &["doctor", "--json"]);
        let found: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
        assert_eq!(found["simd"]["level"], level.name());
        assert_eq!((&found["simd"]["forced"], &found["healthy"]), (&true.into(), &true.into()));
        let filled = stencil(level.name(), &FILL);
        assert!(filled.status.success(), "{level}: {}", text(&filled.stderr));
        assert!(text(&filled.stdout).starts_with("The "), "{level}");
    }
    let best = stencil("", &["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&best.stdout).unwrap();
    assert_eq!(found["simd"]["level"], Level::best().name());
    assert_eq!(found["simd"]["forced"], false);
}

#[test]
fn a_level_that_there_is_not_is_refused() {
    let names: Vec<&str> = Level::available().into_iter().map(Level::name).collect();
    let missing = ["avx512", "avx2", "neon"].into_iter().find(|name| !names.contains(name)).unwrap();
    for (name, why) in [("sse9", "there is no level \"sse9\""), (missing, "this processor has no")] {
        let filled = stencil(name, &FILL);
        assert_eq!(filled.status.code(), Some(2), "{name}");
        let said = text(&filled.stderr);
        assert!(said.contains("STENCIL_SIMD") && said.contains(why) && said.contains("portable"), "{said}");
        assert!(filled.stdout.is_empty());

        let doctor = stencil(name, &["doctor"]);
        assert_eq!(doctor.status.code(), Some(1), "{name}");
        assert!(text(&doctor.stdout).contains(why), "{}", text(&doctor.stdout));
        assert!(stencil(name, &["schema"]).status.success());
    }
}
