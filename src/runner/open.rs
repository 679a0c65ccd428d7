//! The lanes that take part in a step. A lane that fails leaves the step, and the others go on.

use super::{LaneId, Slot, batch::Answers, finish::End};
use crate::{Ask, Denoiser, Error, Lane, Model, Result, Token, models::Reader};
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The second readers of a runner, by name.
pub(super) type Readers = HashMap<String, Arc<dyn Reader>>;

/// The lanes of a step, and the lanes that failed in it.
pub(super) struct OpenLanes<'a> {
    pub lanes: Vec<(LaneId, &'a mut Lane)>,
    pub failed: Vec<(LaneId, Error)>,
}

impl<'a> OpenLanes<'a> {
    /// The lanes that have something left to write.
    pub fn of(lanes: &'a mut BTreeMap<LaneId, Slot>) -> Self {
        let open = lanes.iter_mut().filter(|(_, slot)| matches!(slot.end, End::Open) && slot.lane.is_open());
        Self { lanes: open.map(|(&id, slot)| (id, &mut slot.lane)).collect(), failed: Vec::new() }
    }

    /// Fails every lane.
    pub fn fail(&mut self, error: &Error) {
        self.failed.extend(self.lanes.drain(..).map(|(id, _)| (id, error.clone())));
    }

    pub fn ids(&self) -> Vec<LaneId> {
        self.lanes.iter().map(|(id, _)| *id).collect()
    }

    /// The questions of each lane's hooks. A lane fails where a hook asks for a reader that the runner does not have, or
    /// shows the model or a reader what neither can hold.
    pub fn questions(
        &mut self,
        model: &Model,
        readers: &Readers,
        ask: impl Fn(&mut Lane) -> Result<Vec<Vec<Ask>>>,
    ) -> Vec<Vec<Vec<Ask>>> {
        let questions = |lane: &mut Lane| {
            let asks = ask(lane)?;
            check_readers(readers, &asks)?;
            asks.iter().flatten().try_for_each(|ask| check_tokens(model.denoiser(), ask))?;
            Ok(asks)
        };
        let results = self.lanes.iter_mut().map(|(_, lane)| questions(lane)).collect();
        self.keep(results)
    }

    /// Calls `act` for every lane with its input; lanes are independent of each other, so they run in parallel.
    pub fn in_parallel<T: Send>(&mut self, inputs: Vec<T>, act: impl Fn(&mut Lane, T) -> Result<()> + Sync) {
        let results = self.lanes.par_iter_mut().zip(inputs).map(|((_, lane), input)| act(lane, input)).collect();
        self.keep(results);
    }

    /// Calls `act` for every lane with the answers to its hooks, one lane after the other.
    pub fn in_turn(&mut self, answers: Answers, act: impl Fn(&mut Lane, &[Vec<crate::Answer>]) -> Result<()>) {
        let results = self.lanes.iter_mut().zip(&answers).map(|((_, lane), answers)| act(lane, answers)).collect();
        self.keep(results);
    }

    /// Moves the lanes that failed to `failed`, and returns the results of the others.
    fn keep<T>(&mut self, results: Vec<Result<T>>) -> Vec<T> {
        let mut kept = Vec::with_capacity(results.len());
        let mut results = results.into_iter();
        let Self { lanes, failed } = self;
        lanes.retain(|(id, _)| match results.next() {
            Some(Ok(value)) => {
                kept.push(value);
                true
            }
            Some(Err(error)) => {
                failed.push((*id, error));
                false
            }
            None => false,
        });
        kept
    }
}

/// Requires every reader that the questions name.
fn check_readers(readers: &Readers, asks: &[Vec<Ask>]) -> Result<()> {
    let unknown = asks.iter().flatten().find_map(|ask| match ask {
        Ask::Text { reader, .. } if !readers.contains_key(reader) => Some(reader),
        _ => None,
    });
    let Some(reader) = unknown else { return Ok(()) };
    let error = Error::input(format!("a hook asks for a reader {reader:?}, but there is none"));
    if readers.is_empty() {
        return Err(error.help("give the runner one, under that name"));
    }
    let names: Vec<&str> = readers.keys().map(String::as_str).collect();
    Err(error.help(format!("readers: {}", names.join(", "))))
}

/// Requires tokens, a condition and a length that the model has.
fn check_tokens(denoiser: &dyn Denoiser, ask: &Ask) -> Result<()> {
    let size = denoiser.vocab().len();
    let known = |token: Token| {
        if (token as usize) < size {
            return Ok(());
        }
        Err(Error::input(format!("a hook asks about token {token}, but {} has {size}", denoiser.name())))
    };
    let view = match ask {
        Ask::Text { tokens, .. } => return tokens.iter().copied().try_for_each(known),
        Ask::Scores(view) | Ask::Hidden(view) => view,
    };
    view.prompt.iter().copied().chain(view.tokens.iter().copied().flatten()).try_for_each(known)?;
    let (len, most) = (view.prompt.len() + view.tokens.len(), denoiser.max_len());
    if len > most {
        return Err(Error::input(format!("a hook asks about {len} positions, but {} holds {most}", denoiser.name())));
    }
    match view.condition.filter(|&condition| condition >= denoiser.conditions().len()) {
        Some(condition) => {
            Err(Error::input(format!("a hook asks with condition {condition}, which {} has not", denoiser.name())))
        }
        None => Ok(()),
    }
}
