//! An observer of your own: it reads every step and may stop the run. It cannot change anything.
//!
//! This one writes the canvas after each step, and how much of the model's mass satisfies the constraint.
//!
//! `cargo run --release --example 05_observer`

use std::ops::ControlFlow;
use stencil_lm::{Cell, Event, Model, Observer, Result};

#[derive(Default)]
struct Diary {
    pages: usize,
}

impl Observer for Diary {
    fn on_step(&mut self, event: &Event) -> ControlFlow<()> {
        if let Event::Step { index, canvas, vocab, log_z, .. } = event {
            let shown: Vec<u8> = canvas
                .cells()
                .iter()
                .flat_map(|cell| match cell {
                    Cell::Open => b"_".to_vec(),
                    written => written.token().and_then(|t| vocab.bytes(t)).unwrap_or_default().to_vec(),
                })
                .collect();
            println!("{index:2}  log Z {log_z:8.3}  {}", String::from_utf8_lossy(&shown));
            self.pages += 1;
        }
        match self.pages {
            100 => ControlFlow::Break(()), // the run ends with an error that `is_interrupted`
            _ => ControlFlow::Continue(()),
        }
    }
}

fn main() -> Result<()> {
    let output = Model::bundled()?.fill("The {{thing:1-2}} is {{what:4-8}}.")?.observer(Diary::default()).run()?;
    println!("{}", output.text);
    Ok(())
}
