//! Fill a template: the shortest way from text with holes to text without.
//!
//! `cargo run --release --example 01_fill`

use stencil_lm::{Model, Result};

fn main() -> Result<()> {
    let model = Model::bundled()?;

    // A request adds up what must be true (here a template) and what is wanted (here a topic).
    let output = model
        .fill("The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.")?
        .topic("animal", 2.0)
        .seed(1)
        .run()?;
    println!("{}", output.text);
    for (name, text) in &output.slots {
        println!("  {name}: {text}");
    }

    // Every output has been checked by code that is not part of the engine that wrote it.
    assert!(output.report.verified);

    // Ten more in one batch: one forward serves all of them.
    let template = "A {{what:1-3}} is used for {{use:1-4}}.";
    for output in model.fill(template)?.temperature(0.8).samples(10)? {
        println!("{}", output.text);
    }
    Ok(())
}
