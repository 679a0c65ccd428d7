//! Trains on the batches of a folder that `benches/pytorch/training.py` writes: as many steps per line of input as it
//! says, one line of JSON per answer. Run that script.

use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::json;
use std::{error::Error, fs, io::BufRead, path::Path, time::Instant};
use stencil_lm::models::masked::{MaskedConfig, Network, Packed, Parameter, Targets};
use stencil_lm::train::{Optimizer, OptimizerConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` asks every benchmark to run: this one needs its folder.
    let Some(folder) = std::env::args().nth(1).filter(|arg| !arg.starts_with('-')) else {
        println!("run benches/pytorch/training.py");
        return Ok(());
    };
    let folder = Path::new(&folder);
    let config = MaskedConfig::from_json(&fs::read(folder.join("config.json"))?)?;
    let settings: OptimizerConfig = serde_json::from_slice(&fs::read(folder.join("optimizer.json"))?)?;
    let bytes = fs::read(folder.join("data.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let start = |parameter: &Parameter| file.tensor(&parameter.name).map(|view| floats(&view));
    let mut network = Network::build(&config, start)?;
    let mut optimizer = Optimizer::new(&network);
    let mut gradient = vec![0.0; network.weights().len()];
    let batches = (0..).map_while(|i| batch(&file, i, config.max_len)).collect::<Vec<_>>();
    let mut step = 0;
    for line in std::io::stdin().lock().lines() {
        let (mut losses, mut tokens) = (Vec::new(), 0);
        let (started, used) = (Instant::now(), cpu_seconds()?);
        for _ in 0..line?.trim().parse()? {
            let (packed, targets) = &batches[step % batches.len()];
            gradient.fill(0.0);
            losses.push(network.loss_and_gradient(packed, targets, &mut gradient));
            optimizer.update(&mut network, &gradient, &settings, step)?;
            tokens += packed.tokens.len();
            step += 1;
        }
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds()? - used);
        let answer =
            json!({"losses": losses, "tokens": tokens, "seconds": seconds, "cpu": cpu, "peak_mib": peak_mib()?});
        println!("{answer}");
    }
    Ok(())
}

fn batch(file: &SafeTensors, index: usize, length: usize) -> Option<(Packed, Targets)> {
    let integers = |name: &str| {
        let view = file.tensor(&format!("{name}.{index}")).ok()?;
        let (numbers, _) = view.data().as_chunks::<8>();
        Some(numbers.iter().map(|&n| i64::from_le_bytes(n) as u32).collect::<Vec<_>>())
    };
    let mut packed = Packed::default();
    integers("tokens")?.chunks(length).for_each(|sequence| packed.push(sequence.iter().copied()));
    let weights = floats(&file.tensor(&format!("weights.{index}")).ok()?);
    Some((packed, Targets { rows: integers("rows")?, tokens: integers("targets")?, weights }))
}

fn floats(view: &TensorView) -> Vec<f32> {
    let (numbers, _) = view.data().as_chunks::<4>();
    numbers.iter().map(|&n| f32::from_le_bytes(n)).collect()
}

/// Of this process so far, over all threads, where the system tells (Linux, in ticks of 10 ms).
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

/// Most memory that was resident at once, where the system tells.
fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).map_or(Ok(0.0), str::parse)?;
    Ok(kib / 1024.0)
}
