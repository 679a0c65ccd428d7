//! That nothing held out is trained on.

use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Write};

/// Share of the keys held out, as in `models/stencil-base/train.toml`.
const HELD_OUT: f64 = 0.02;

/// Prints the size of each part; `false` if a held-out text is also trained on. Into a
/// folder it writes the held-out texts of each part and, as `training.jsonl`, all others.
pub fn check(file: &str, folder: Option<&str>) -> io::Result<bool> {
    let content = fs::read_to_string(file)?;
    let lines = content.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let mut parts: BTreeMap<String, [Vec<&Value>; 2]> = BTreeMap::new();
    let mut training = HashSet::new();
    let mut seen = HashSet::new();
    // Lines that count twice are measured once.
    for line in lines.iter().filter(|line| seen.insert(text(line, "text"))) {
        let held_out = share(&text(line, "key")) < HELD_OUT;
        parts.entry(text(line, "part")).or_default()[usize::from(held_out)].push(line);
        if !held_out {
            training.insert(text(line, "text").to_lowercase());
        }
    }
    let (mut leaks, mut trained) = (0, Vec::new());
    println!("{:<12} {:>9} {:>9} {:>9} {:>9}", "part", "training", "bytes", "held out", "leaked");
    for (part, [train, held]) in &parts {
        let bytes: usize = train.iter().map(|l| text(l, "text").len()).sum();
        let leaked = held.iter().filter(|l| training.contains(&text(l, "text").to_lowercase())).count();
        leaks += leaked;
        println!("{part:<12} {:>9} {bytes:>9} {:>9} {leaked:>9}", train.len(), held.len());
        if let Some(folder) = folder {
            fs::create_dir_all(folder)?;
            write(&format!("{folder}/{part}.jsonl"), held)?;
            trained.extend(train);
        }
    }
    if let Some(folder) = folder {
        write(&format!("{folder}/training.jsonl"), &trained)?;
    }
    Ok(leaks == 0)
}

fn write(path: &str, lines: &[&Value]) -> io::Result<()> {
    let mut out = io::BufWriter::new(fs::File::create(path)?);
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()
}

/// As `stencil train` splits: a number in [0, 1) that depends on the key alone (FNV-1a, then the finaliser of
/// MurmurHash3).
fn share(key: &str) -> f64 {
    let mut hash = key.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    for multiplier in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(multiplier);
    }
    (hash >> 11) as f64 / (1u64 << 53) as f64
}
