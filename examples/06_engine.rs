//! The engine without the sampler, for a runtime with a model and a loop of its own: logits in, decisions out.
//!
//! Here the "model" is a table of random logits and the loop decides two positions at a time, the surest first. Whatever
//! it decides, the rest can be completed: the text is a date in the end.
//!
//! `cargo run --release --example 06_engine`

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stencil_lm::{
    Model, Result,
    engine::{Engine, Logits, Options},
};

const POSITIONS: usize = 16;

fn main() -> Result<()> {
    // Any vocabulary will do; `Engine::from_file` reads a tokenizer.json.
    let engine = Engine::new(Model::bundled()?.denoiser().vocab().clone());
    let date = engine.regex("[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])")?;
    let width = engine.vocab().len();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let logits: Vec<f32> = (0..POSITIONS * width).map(|_| rng.random_range(-4.0..4.0)).collect();

    let mut decided = vec![None; POSITIONS];
    for step in 0.. {
        // What is left without a choice needs no look at the logits.
        for (pos, token) in date.forced(&decided)? {
            decided[pos] = Some(token);
        }
        let open: Vec<usize> = (0..POSITIONS).filter(|&pos| decided[pos].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let (draw, mut candidates, log_z) =
            date.project(Logits::F32(&logits), &decided, &Options::default(), |projection| {
                let draw = projection.sample(step);
                let candidates = projection.candidates(&open, &draw);
                (draw, candidates, projection.log_z())
            })?;
        candidates.sort_by(|a, b| b.prob.total_cmp(&a.prob));
        for candidate in candidates.iter().take(2) {
            decided[candidate.pos] = Some(candidate.token);
        }
        let text = String::from_utf8_lossy(&engine.vocab().decode(&draw)).into_owned();
        println!("step {step}: log Z {:7.2}, {} positions open, one draw: {text}", log_z?, open.len());
    }
    let tokens: Vec<u32> = decided.into_iter().flatten().collect();
    println!("{}", String::from_utf8_lossy(&engine.vocab().decode(&tokens)));
    Ok(())
}
