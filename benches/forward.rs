//! Runs the network on the tokens of a folder that `benches/pytorch/forward.py` writes: as many passes per line of input
//! as it says, one line of JSON per answer. With the name of a checkpoint in that folder, the network that runs checkpoints.
//! Run that script.

mod beside;

use safetensors::SafeTensors;
use serde_json::json;
use std::{error::Error, fs, io::BufRead, time::Instant};
use stencil_lm::models::{
    checkpoint::{Checkpoint, Precision},
    transformer::{Builder, Pattern, Sequence},
};

/// Logits of the rows asked for.
type Answer = Result<Vec<f32>, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = beside::folder("forward") else { return Ok(()) };
    let bytes = fs::read(folder.join("data.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let rows = beside::integers(&file, "rows.0").ok_or("no rows")?;
    let mut logits: Box<dyn FnMut() -> Answer> = match std::env::args().nth(2) {
        None => {
            let (config, network) = beside::network(&folder, &file)?;
            let packed = beside::packed(&file, 0, config.max_len).ok_or("no tokens")?;
            Box::new(move || Ok(network.logits(&packed, &rows)))
        }
        Some(checkpoint) => {
            let checkpoint = Checkpoint::open(&folder.join(checkpoint))?;
            let mut reader = checkpoint.reader(Precision::F32);
            let network = Builder { tensors: &mut *reader }.transformer(&checkpoint.description.plan)?;
            let tokens = beside::integers(&file, "tokens.0").ok_or("no tokens")?;
            let len = checkpoint.description.max_len;
            // Of each text as many of the last positions.
            let wanted = len - rows.len() * len / tokens.len()..len;
            let text =
                |text: &[u32]| Sequence { wanted: wanted.clone(), ..Sequence::whole(text.to_vec(), Pattern::Full) };
            let sequences: Vec<Sequence> = tokens.chunks_exact(len).map(text).collect();
            // As tensors, which PyTorch's are, too; the first row shows what they are.
            Box::new(move || Ok(network.forward(&sequences)?[0].logits.get(0)?.to_vec1::<f32>()?))
        }
    };
    for line in std::io::stdin().lock().lines() {
        let (started, used) = (Instant::now(), beside::cpu_seconds()?);
        let mut answer = Vec::new();
        for _ in 0..line?.trim().parse()? {
            answer = logits()?;
        }
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), beside::cpu_seconds()? - used);
        println!("{}", json!({"seconds": seconds, "cpu": cpu, "logits": answer.get(..64)}));
    }
    Ok(())
}
