//! Trains on the batches of a folder that `benches/pytorch/training.py` writes: as many steps per line of input as it
//! says, one line of JSON per answer. Run that script.

mod beside;

use safetensors::SafeTensors;
use serde_json::json;
use std::{error::Error, fs, io::BufRead, time::Instant};
use stencil_lm::models::masked::{PackedSequences, Targets};
use stencil_lm::train::{Optimizer, OptimizerConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = beside::folder("training") else { return Ok(()) };
    let bytes = fs::read(folder.join("data.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let (config, mut network) = beside::network(&folder, &file)?;
    let settings: OptimizerConfig = serde_json::from_slice(&fs::read(folder.join("optimizer.json"))?)?;
    let mut optimizer = Optimizer::new(&network);
    let mut gradient = vec![0.0; network.weights().len()];
    let batches = (0..).map_while(|i| batch(&file, i, config.max_len)).collect::<Vec<_>>();
    let mut step = 0;
    for line in std::io::stdin().lock().lines() {
        let (mut losses, mut tokens) = (Vec::new(), 0);
        let (started, used) = (Instant::now(), beside::cpu_seconds()?);
        for _ in 0..line?.trim().parse()? {
            let (packed, targets) = &batches[step % batches.len()];
            gradient.fill(0.0);
            losses.push(network.loss_and_gradient(packed, targets, &mut gradient));
            optimizer.update(&mut network, &gradient, &settings, step)?;
            tokens += packed.tokens.len();
            step += 1;
        }
        let (seconds, cpu, peak) =
            (started.elapsed().as_secs_f64(), beside::cpu_seconds()? - used, beside::peak_mib()?);
        println!("{}", json!({"losses": losses, "tokens": tokens, "seconds": seconds, "cpu": cpu, "peak_mib": peak}));
    }
    Ok(())
}

fn batch(file: &SafeTensors, index: usize, length: usize) -> Option<(PackedSequences, Targets)> {
    let integers = |name: &str| beside::integers(file, &format!("{name}.{index}"));
    let weights = beside::floats(&file.tensor(&format!("weights.{index}")).ok()?);
    let targets = Targets { rows: integers("rows")?, tokens: integers("targets")?, weights };
    Some((beside::packed(file, index, length)?, targets))
}
