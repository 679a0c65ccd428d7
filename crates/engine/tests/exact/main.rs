//! The engine against enumeration and other engines: exact, whatever the vocabulary and the canvas.

mod brute_force;
mod exploding;
mod fuzz_lift;
mod grammar_syntax;
mod grammars_brute_force;

/// Runs the body of a test in a process of its own, so that what it measures of the process is its own. `name` is the
/// test's path in this binary.
fn alone(name: &str, body: impl FnOnce()) {
    const MARK: &str = "STENCIL_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let program = std::env::current_exe().unwrap();
    let arguments = [name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"];
    let ran = std::process::Command::new(program).args(arguments).env(MARK, "1").output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    println!("{said}");
    assert!(ran.status.success() && said.contains("1 passed"), "{name}: {said}");
}
