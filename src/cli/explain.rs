//! `stencil check --explain`: what a constraint amounts to for a model.

use super::{check::shorten, sink};
use stencil_lm::{
    Error, Model, Result,
    automata::TokenAutomaton,
    grammar::{Acceptor, Pushdown, Question},
    inference::{Problem, feasible},
    spec::Spec,
};

/// Number of sample texts.
const TEXTS: usize = 3;
/// Sizes of the canvases on which a recursive grammar is tried.
const CANVASES: [usize; 5] = [16, 32, 64, 128, 256];

/// Prints size, shortest text in tokens, what is exact, and a few texts that the model writes.
///
/// # Errors
/// Constraints that cannot be compiled for the model, and failed writes.
pub fn print(spec: Spec, model: &Model) -> Result<()> {
    let vocab = model.denoiser().vocab();
    let mut lines: Vec<(&str, String)> = Vec::new();
    for remark in spec.constraints.iter().flat_map(|constraint| constraint.remarks()) {
        lines.push(("note", remark));
    }
    // Bounds on the number of tokens are not part of the automaton.
    let tokens = spec.constraints.iter().map(|constraint| constraint.tokens());
    let tokens = tokens.fold((0, usize::MAX), |(a, b), (min, max)| (a.max(min), b.min(max)));
    let name = model.denoiser().name();
    let fewest = match spec.acceptor(vocab)? {
        Acceptor::Regular(dfa) => {
            let automaton = TokenAutomaton::lift(&dfa, vocab)?;
            let (states, classes) = (automaton.states(), automaton.classes());
            lines.push(("size", format!("an automaton of {states} states over {classes} classes of tokens")));
            lines.push(("exact", "everything, on every canvas".into()));
            let fits = |&len: &usize| {
                let decided = vec![None; len];
                feasible(&Problem::new(&automaton, &decided).with_tokens(tokens.0, tokens.1)).is_some()
            };
            automaton.min_tokens().and_then(|fewest| (fewest.max(tokens.0)..=4096).find(fits))
        }
        Acceptor::Pushdown(pushdown) => {
            lines.push(("size", format!("a recursive grammar of {} states", pushdown.states())));
            lines.push(("exact", exactness(&pushdown, tokens)?));
            pushdown.fewest_tokens()?.map(|fewest| fewest.max(tokens.0))
        }
    };
    let Some(fewest) = fewest else {
        return Err(Error::unsatisfiable(format!("no text of up to 4096 tokens of {name} satisfies the constraints")));
    };
    let unit = if fewest == 1 { "token" } else { "tokens" };
    lines.push(("shortest", format!("{fewest} {unit} of {name}")));
    let drawn = model.write().spec(&spec).steps(8).seed(0).samples(TEXTS)?;
    lines.extend(drawn.iter().map(|output| ("text", format!("{:?}", shorten(&output.text)))));
    lines.iter().try_for_each(|(what, line)| sink::print(&format!("  {what:<8} {line}\n")))
}

/// The size of canvas up to which inference is exact.
fn exactness(pushdown: &Pushdown, tokens: (usize, usize)) -> Result<String> {
    let (mut exact, mut inexact) = (None, None);
    for len in CANVASES {
        let decided = vec![None; len];
        match pushdown.view(Question { decided: &decided, tokens, witness: None })? {
            Some(view) if !view.exact => {
                inexact = Some(len);
                break;
            }
            Some(_) => exact = Some(len),
            None => {}
        }
    }
    let always = "whether a text fits is always decided";
    Ok(match (exact, inexact) {
        (Some(exact), Some(inexact)) => format!(
            "{always}; open canvases of {exact} tokens are solved exactly, of {inexact} over the most frequent states"
        ),
        (None, Some(inexact)) => {
            format!("{always}; an open canvas of {inexact} tokens is solved over the most frequent states")
        }
        (_, None) => format!("{always}; open canvases of up to {} tokens are solved exactly", CANVASES[4]),
    })
}
