//! `stencil check`: are constraint files right, and does a text satisfy them?

use super::{Status, check_jsonl, explain, input, sink};
use clap::Args;
use std::path::{Path, PathBuf};
use stencil_lm::{
    Error, Model, Result, Source, Verdict, Vocab,
    grammar::Acceptor,
    schema::Unenforced,
    spec::{Inputs, Registry, Spec},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil check constraints/*.toml
  stencil check my-constraints.toml --text 'The owl is a small animal.'
  stencil check my-constraints.toml --explain
  printf '%s\\n' '{\"id\": 1, \"constraint\": {\"regex\": \"a+\"}, \"text\": \"aab\"}' | stencil check --jsonl

Exit status: 0 all good; 1 an example is decided wrongly, or the text is
rejected; 2 a file is faulty; 3 no text satisfies a file.
With --jsonl: 0, whatever the answers are.")]
pub struct Check {
    /// Constraint files, TOML or JSON; - reads standard input
    #[arg(required_unless_present = "jsonl")]
    files: Vec<PathBuf>,
    /// Does this text satisfy all the files? - reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// Say what each file amounts to for a model: size, shortest text, what is exact, a few texts
    #[arg(long, conflicts_with = "text")]
    explain: bool,
    /// Directory of the model that `--explain` asks (default: the bundled one)
    #[arg(short, long, value_name = "DIR", requires = "explain")]
    model: Option<PathBuf>,
    /// Value of the templates' $NAME; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::args::pair)]
    set: Vec<(String, String)>,
    /// Answer questions on standard input, JSON lines: {"id", "constraint", "text"}
    #[arg(long, conflicts_with_all = ["files", "text", "set", "explain"])]
    jsonl: bool,
}

impl Check {
    pub fn run(self) -> Result<Status> {
        if self.jsonl {
            return check_jsonl::run();
        }
        let inputs: Inputs = self.set.iter().cloned().collect();
        match &self.text {
            Some(text) => self.text(text, &inputs),
            None => self.lint(&inputs),
        }
    }

    /// Checks a text against all files.
    fn text(&self, text: &str, inputs: &Inputs) -> Result<Status> {
        let text = match text {
            "-" => input::stdin()?,
            text => Source::new("text", text),
        };
        let registry = Registry::builtin();
        let mut notes = String::new();
        for file in &self.files {
            let spec = input::spec(file, &registry, inputs)?;
            match spec.check(&text.text) {
                Verdict::Accept if compile(&spec)?.accepts(text.text.as_bytes()) => {}
                Verdict::Accept => {
                    notes += &format!(
                        "  {}: the same would be written with other white space, escapes or order of keys\n",
                        file.display()
                    );
                }
                Verdict::Reject { at, why } => {
                    let rejection = explain(&spec, &text, at, why)?.report();
                    sink::print(&format!("rejected by {}: {rejection}\n", file.display()))?;
                    return Ok(Status::Unverified);
                }
                Verdict::Unknown { why } => {
                    return Err(Error::unsupported(format!("{} cannot be decided: {why}", file.display())));
                }
            }
        }
        inputs.all_used()?;
        sink::print(&format!("accepted\n{notes}"))?;
        Ok(Status::Good)
    }

    /// Checks the files themselves, one line per file. An invalid file does not stop the check of the others.
    fn lint(&self, inputs: &Inputs) -> Result<Status> {
        let registry = Registry::builtin();
        let model = match (self.explain, &self.model) {
            (false, _) => None,
            (true, Some(dir)) => Some(Model::load(dir)?),
            (true, None) => Some(Model::bundled()?),
        };
        let mut status = Status::Good;
        for file in &self.files {
            let look = |spec: Spec| -> Result<Status> {
                let status = lint(&spec)?.print(file)?;
                if let (Some(model), Status::Good) = (&model, status) {
                    explain::print(spec, model)?;
                }
                Ok(status)
            };
            let outcome = match input::spec(file, &registry, inputs)
                .and_then(|spec| look(spec).map_err(|e| e.context(file.display())))
            {
                Ok(status) => status,
                Err(error) => {
                    eprintln!("{}", super::report(&error));
                    sink::print(&format!("{}: faulty\n", file.display()))?;
                    Status::Failed(super::exit_code(&error))
                }
            };
            status = status.max(outcome);
        }
        if status == Status::Good {
            inputs.all_used()?;
        }
        Ok(status)
    }
}

/// Explains a rejection: the verdict, the longest prefix that can be completed, and what may follow it.
fn explain(spec: &Spec, text: &Source, at: usize, why: String) -> Result<Error> {
    let whole = &*text.text;
    let compiled = compile(spec)?;
    let viable = compiled.viable(whole.as_bytes());
    let cut = (0..=viable).rev().find(|&i| whole.is_char_boundary(i)).unwrap_or(0);
    // Some checks do not know the position, such as the check of JSON.
    let at = if at == 0 { cut } else { at };
    let error = Error::input(why).at(at..at).in_source(text);
    let good = &whole[..cut];
    let error = match whole[good.len()..].chars().next() {
        None if compiled.accepts(whole.as_bytes()) => {
            error.help("what could be kept exactly holds: it is what was left to the final check that does not")
        }
        None => error.help("a text may begin so, but must go on"),
        Some(next) => error.help(format!(
            "a text may begin with {:?}, not with {:?}",
            tail(good),
            format!("{}{next}", tail(good))
        )),
    };
    Ok(match possible(&compiled, good.as_bytes()) {
        Some(possible) => error.help(format!("possible there: {possible}")),
        None => error,
    })
}

/// The texts that may follow a prefix; `None` for a prefix that is too long to answer quickly.
fn possible(compiled: &Acceptor, begun: &[u8]) -> Option<String> {
    const LONG: usize = 1 << 14;
    if begun.len() > LONG {
        return None;
    }
    let follows = |byte: u8| compiled.viable(&[begun, &[byte]].concat()) > begun.len();
    let ascii: Vec<u8> = (0..128).filter(|&byte| follows(byte)).collect();
    let mut ways: Vec<String> = Vec::new();
    for run in ascii.chunk_by(|a, b| a + 1 == *b && a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric()) {
        ways.push(match run {
            [first, _, .., last] => format!("{}-{}", *first as char, *last as char),
            few => few.iter().map(|&byte| format!("{:?}", byte as char)).collect::<Vec<_>>().join(" "),
        });
    }
    const MOST: usize = 16;
    let more = ways.len().saturating_sub(MOST);
    ways.truncate(MOST);
    ways.extend((more > 0).then(|| format!("{more} more")));
    ways.extend((128..=255).any(follows).then(|| "characters beyond ASCII".into()));
    ways.extend(compiled.accepts(begun).then(|| "the end".into()));
    Some(ways.join(", "))
}

/// The last few words of a text that may be long.
fn tail(text: &str) -> String {
    match text.char_indices().rev().nth(39) {
        Some((cut, _)) if cut > 0 => format!("…{}", &text[cut..]),
        _ => text.into(),
    }
}

/// The findings about a valid file.
struct Findings {
    accepted: usize,
    rejected: usize,
    /// Examples with the wrong verdict, and the reasons.
    wrong: Vec<String>,
    states: usize,
    /// A shortest text that satisfies the file.
    shortest: String,
    /// The keywords that are left to the final check.
    unenforced: Vec<Unenforced>,
}

/// Tests the examples on both engines: the one that constrains and the one that verifies.
fn lint(spec: &Spec) -> Result<Findings> {
    let dfa = compile(spec)?;
    let shortest = dfa.shortest().unwrap_or_default();
    let mut wrong = Vec::new();
    for (i, text) in spec.accepts.iter().enumerate() {
        match spec.check(text) {
            Verdict::Accept if dfa.accepts(text.as_bytes()) => {}
            Verdict::Accept => wrong.push(format!("accepts[{i}] {text:?} is rejected by the automaton only: a bug")),
            Verdict::Reject { at, why } => {
                wrong.push(format!("accepts[{i}] {text:?} is rejected at byte {at}: {why}"));
            }
            Verdict::Unknown { why } => wrong.push(format!("accepts[{i}] {text:?} cannot be decided: {why}")),
        }
    }
    for (i, text) in spec.rejects.iter().enumerate() {
        match spec.check(text) {
            Verdict::Reject { .. } if !dfa.accepts(text.as_bytes()) => {}
            Verdict::Reject { .. } => {
                wrong.push(format!("rejects[{i}] {text:?} is accepted by the automaton only: a bug"));
            }
            Verdict::Accept => wrong.push(format!("rejects[{i}] {text:?} is accepted")),
            Verdict::Unknown { why } => wrong.push(format!("rejects[{i}] {text:?} cannot be decided: {why}")),
        }
    }
    let (accepted, rejected, states) = (spec.accepts.len(), spec.rejects.len(), dfa.states());
    Ok(Findings { accepted, rejected, wrong, states, shortest, unenforced: spec.unenforced() })
}

/// Compiles all constraints to one automaton over bytes, for which no model is needed.
pub fn compile(spec: &Spec) -> Result<Acceptor> {
    spec.acceptor(&Vocab::from_bytes((0..=255).map(|b| Some(vec![b])).collect(), None, None)?)
}

impl Findings {
    fn print(&self, file: &Path) -> Result<Status> {
        let file = file.display();
        let Self { accepted, rejected, wrong, states, shortest, unenforced } = self;
        if wrong.is_empty() {
            let examples = match accepted + rejected {
                0 => "no examples".to_string(),
                _ => format!("{accepted} accepted, {rejected} rejected"),
            };
            let shortest = shorten(shortest);
            sink::print(&format!("{file}: good, {examples}, {states} states, shortest {shortest:?}\n"))?;
            for Unenforced { pointer, why } in unenforced {
                sink::print(&format!("  left to the final check: {pointer}: {why}\n"))?;
            }
            return Ok(Status::Good);
        }
        let examples = accepted + rejected;
        sink::print(&format!("{file}: {} of {examples} examples decided wrongly\n", wrong.len()))?;
        for example in wrong {
            sink::print(&format!("  {example}\n"))?;
        }
        Ok(Status::Unverified)
    }
}

/// The beginning of a text that may be long.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into(),
    }
}
