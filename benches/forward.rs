//! Runs the network on the tokens of a folder that `benches/pytorch/forward.py` writes: as many passes per line of input
//! as it says, one line of JSON per answer. Run that script.

mod beside;

use safetensors::SafeTensors;
use serde_json::json;
use std::{error::Error, fs, io::BufRead, time::Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = beside::folder("forward") else { return Ok(()) };
    let bytes = fs::read(folder.join("data.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let (config, network) = beside::network(&folder, &file)?;
    let packed = beside::packed(&file, 0, config.max_len).ok_or("no tokens")?;
    let rows = beside::integers(&file, "rows.0").ok_or("no rows")?;
    for line in std::io::stdin().lock().lines() {
        let (started, used) = (Instant::now(), beside::cpu_seconds()?);
        let mut logits = Vec::new();
        for _ in 0..line?.trim().parse()? {
            logits = network.logits(&packed, &rows);
        }
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), beside::cpu_seconds()? - used);
        println!("{}", json!({"seconds": seconds, "cpu": cpu, "logits": logits.get(..64)}));
    }
    Ok(())
}
