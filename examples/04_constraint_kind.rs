//! A constraint kind of your own, written in a constraint file like a built-in one.
//!
//! `alliteration = "s"`: every word starts with that letter. A constraint is two things that must agree: a language
//! that steers the generation, and a check by other means that decides about the finished text.
//!
//! `cargo run --release --example 04_constraint_kind`

use schemars::JsonSchema;
use serde::Deserialize;
use stencil_lm::{
    Check, CompileCx, Constraint, Error, Language, Model, Result, Sampler, Source, Verdict,
    spec::{BuildCx, Inputs, Kind, Part, Registry, Spec},
};

/// Every word starts with this letter.
#[derive(Deserialize, JsonSchema)]
struct Alliteration(char);

impl Kind for Alliteration {
    const NAME: &'static str = "alliteration";
    fn build(self, _: &BuildCx) -> Result<Part> {
        match self.0.is_alphabetic() {
            true => Ok(Part::constraint(self)),
            false => Err(Error::input(format!("{:?} is no letter", self.0)).help("for example: alliteration = \"s\"")),
        }
    }
}

impl Constraint for Alliteration {
    fn name(&self) -> String {
        Self::NAME.into()
    }
    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::regex(format!(r"\s*(?:{0}\S*(?:\s+{0}\S*)*)?\s*", self.0)))
    }
}

impl Check for Alliteration {
    fn check(&self, text: &str) -> Verdict {
        let stray = text.split_whitespace().find(|word| !word.starts_with(self.0));
        Verdict::require(stray.is_none(), 0, || format!("{:?} does not start with {:?}", stray, self.0))
    }
}

fn main() -> Result<()> {
    let file = Source::new("tongue-twister.toml", "alliteration = 's'\nlength = { words = '4-7' }\nsuffix = '.'");
    let spec = Spec::from_toml(&file, &Registry::builtin().with::<Alliteration>(), &Inputs::default())?;
    for output in Sampler::new(&Model::bundled()?).spec(&spec).count(5).run()? {
        println!("{}", output.text);
        assert!(output.report.verified);
    }
    Ok(())
}
