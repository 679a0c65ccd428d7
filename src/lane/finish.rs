//! The output of a lane: its decoded and verified text, or the part written so far.

use super::Lane;
use crate::{Output, Partial, Report, Verdict, record::CellRecord};

impl Lane {
    /// Decodes the text, verifies it and reports on the run.
    pub(crate) fn finish(&self) -> Output {
        let (denoiser, constraints) = (self.denoiser(), &self.job.constraints);
        let vocab = denoiser.vocab();
        let written = self.progress.canvas.cells().iter().filter_map(|c| c.token());
        let tokens: Vec<&[u8]> = written.filter_map(|t| vocab.bytes(t)).collect();
        let (text, mut verdict) = match String::from_utf8(tokens.concat()) {
            Ok(text) => (text, Verdict::Accept),
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                let why = "the text is not valid UTF-8".to_string();
                (String::from_utf8_lossy(e.as_bytes()).into_owned(), Verdict::Reject { at, why })
            }
        };
        for constraint in constraints {
            verdict = verdict.and(|| constraint.check_tokens(&text, &tokens));
        }
        let rejected = match verdict {
            Verdict::Accept => None,
            Verdict::Reject { at, why } => Some(format!("at byte {at}: {why}")),
            Verdict::Unknown { why } => Some(why),
        };
        let elapsed = self.job.compile_time + self.started.elapsed();
        Output {
            slots: constraints.iter().flat_map(|c| c.shape().slots(&text)).collect(),
            report: Report {
                verified: rejected.is_none(),
                rejected,
                left: constraints.iter().flat_map(|c| c.unenforced()).collect(),
                exact: self.exact,
                log_z: self.log_z.unwrap_or(0.0),
                tokens: tokens.len(),
                steps: self.progress.taken,
                nfe: self.nfe,
                forced: self.forced,
                seed: self.progress.seed,
                model: denoiser.name().to_string(),
                elapsed_ms: elapsed.as_secs_f64() * 1e3,
                constraint_ms: self.constraint_time.as_secs_f64() * 1e3,
            },
            text,
        }
    }

    /// The part of the text that is written so far.
    pub(crate) fn partial(&self, sample: usize) -> Partial {
        let vocab = self.denoiser().vocab();
        let cells = CellRecord::all(&self.progress.canvas, vocab);
        let drawn = |pos| match self.last.candidates.iter().find(|candidate| candidate.pos == pos) {
            Some(candidate) => vocab.bytes(candidate.token).map(<[u8]>::to_vec),
            None => Some(b" ____".to_vec()),
        };
        let text = Partial::text_of(&cells, drawn);
        Partial { sample, text, cells, steps: self.progress.taken, nfe: self.nfe, seed: self.progress.seed }
    }
}
