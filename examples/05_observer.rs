//! An observer of your own: it reads every step and may stop the run. It cannot change anything.
//!
//! This one writes the canvas after each step, and how much of the model's mass satisfies the constraint.
//!
//! `cargo run --release --example 05_observer`

use std::ops::ControlFlow;
use stencil_lm::{Model, Observer, Record, Result};

#[derive(Default)]
struct Diary {
    pages: usize,
}

impl Observer for Diary {
    fn on_step(&mut self, record: &Record) -> ControlFlow<()> {
        if let Record::Step { index, cells, log_z, .. } = record {
            let shown: Vec<u8> = cells
                .iter()
                .flat_map(|cell| match &cell.written {
                    Some(written) => written.bytes().unwrap_or_default(),
                    None => b"_",
                })
                .copied()
                .collect();
            println!("{index:2}  log Z {log_z:8.3}  {}", String::from_utf8_lossy(&shown));
            self.pages += 1;
        }
        match self.pages {
            100 => ControlFlow::Break(()), // the run ends with an error that keeps the text so far
            _ => ControlFlow::Continue(()),
        }
    }
}

fn main() -> Result<()> {
    let output = Model::bundled()?.fill("The {{thing:1-2}} is {{what:4-8}}.")?.observer(Diary::default()).run()?;
    println!("{}", output.text);
    Ok(())
}
