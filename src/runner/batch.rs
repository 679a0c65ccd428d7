//! One batch of questions to the model and the readers. Equal questions of several lanes are asked once.

use super::{LaneId, open::Readers};
use crate::{
    Answer, Ask, CanvasView, Error, Lane, Model, Result, Scores, Token,
    models::{self, Item, Prediction, Want},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

pub(super) struct Batch<'a> {
    model: &'a Model,
    readers: &'a Readers,
    /// Index of each distinct view in `views`.
    places: HashMap<(Want, CanvasView), usize>,
    views: Vec<(Want, CanvasView)>,
    /// Distinct texts for each reader.
    texts: BTreeMap<String, Vec<Vec<Token>>>,
    forwards: usize,
}

/// Index of the answer to a question.
enum Place {
    View(usize),
    Text(String, usize),
}

/// Answers by lane, hook and question.
pub(super) type Answers = Vec<Vec<Vec<Answer>>>;

impl<'a> Batch<'a> {
    pub fn new(model: &'a Model, readers: &'a Readers) -> Self {
        let (places, views, texts) = (HashMap::new(), Vec::new(), BTreeMap::new());
        Self { model, readers, places, views, texts, forwards: 0 }
    }

    /// The number of distinct questions so far.
    pub fn forwards(&self) -> usize {
        self.forwards
    }

    /// Predicts the scores of every lane's canvas and answers the lanes' guides. Equal canvases are predicted once, unless
    /// the model keeps a state for each lane.
    pub fn predict(
        &mut self,
        open: &mut [(LaneId, &mut Lane)],
        looks: Vec<Vec<Vec<Ask>>>,
    ) -> Result<(Vec<Arc<Scores>>, Answers)> {
        let denoiser = self.model.denoiser();
        let mut own = Vec::new();
        for ((_, lane), asks) in open.iter_mut().zip(&looks) {
            let keeps = denoiser.uses().state || lane.state.cache.is_some();
            let view = lane.view();
            let mut distinct: Vec<&Ask> = asks.iter().flatten().collect();
            distinct.retain(|ask| !matches!(ask, Ask::Scores(other) if *other == view));
            lane.count(1 + count(&distinct));
            own.push(if keeps { Err(view) } else { Ok(self.view(Want::Scores, view)) });
        }
        let places = self.places_of(looks);
        let mut items: Vec<Item> = self.views.iter().map(|(want, view)| Item::of(view.clone(), *want)).collect();
        let mut kept = Vec::new();
        for ((_, lane), own) in open.iter_mut().zip(&own) {
            if let Err(view) = own {
                kept.push(items.len());
                items.push(Item {
                    clock: Some(lane.clock()),
                    feedback: lane.feedback(),
                    state: Some(&mut lane.state),
                    ..Item::of(view.clone(), Want::Scores)
                });
            }
        }
        models::ask(denoiser, &mut items)?;
        self.forwards += items.len();
        let predictions: Vec<Option<Prediction>> = items.into_iter().map(|item| item.prediction).collect();
        let mut kept = kept.into_iter();
        let scores = |own: Result<usize, CanvasView>| match own.ok().or_else(|| kept.next()).map(|i| &predictions[i]) {
            Some(Some(Prediction::Scores(scores))) => Ok(scores.clone()),
            _ => Err(Error::model(format!("the denoiser {} left out a view", denoiser.name()))),
        };
        let own = own.into_iter().map(scores).collect::<Result<Vec<_>>>()?;
        let answers = self.collect(places, &predictions)?;
        Ok((own, answers))
    }

    /// Answers the questions of the lanes' hooks.
    pub fn answer(&mut self, open: &mut [(LaneId, &mut Lane)], asks: Asks) -> Result<Answers> {
        for ((_, lane), asks) in open.iter_mut().zip(&asks) {
            lane.count(count(&asks.iter().flatten().collect::<Vec<_>>()));
        }
        let places = self.places_of(asks);
        let mut items: Vec<Item> = self.views.iter().map(|(want, view)| Item::of(view.clone(), *want)).collect();
        models::ask(self.model.denoiser(), &mut items)?;
        self.forwards += items.len();
        let predictions: Vec<Option<Prediction>> = items.into_iter().map(|item| item.prediction).collect();
        self.collect(places, &predictions)
    }

    fn view(&mut self, want: Want, view: CanvasView) -> usize {
        let views = &mut self.views;
        *self.places.entry((want, view)).or_insert_with_key(|key| {
            views.push(key.clone());
            views.len() - 1
        })
    }

    fn places_of(&mut self, asks: Asks) -> Vec<Vec<Vec<Place>>> {
        let mut place = |ask: Ask| match ask {
            Ask::Scores(view) => Place::View(self.view(Want::Scores, view)),
            Ask::Hidden(view) => Place::View(self.view(Want::Hidden, view)),
            Ask::Text { reader, tokens } => {
                let texts = self.texts.entry(reader.clone()).or_default();
                let at = texts.iter().position(|text| *text == tokens).unwrap_or_else(|| {
                    texts.push(tokens);
                    texts.len() - 1
                });
                Place::Text(reader, at)
            }
        };
        let mut of_hook = |asks: Vec<Ask>| asks.into_iter().map(&mut place).collect::<Vec<_>>();
        let mut of_lane = |hooks: Vec<Vec<Ask>>| hooks.into_iter().map(&mut of_hook).collect::<Vec<_>>();
        asks.into_iter().map(&mut of_lane).collect()
    }

    fn collect(&mut self, places: Vec<Vec<Vec<Place>>>, predictions: &[Option<Prediction>]) -> Result<Answers> {
        let mut read: HashMap<String, Vec<Arc<[f32]>>> = HashMap::new();
        for (name, texts) in &self.texts {
            let Some(reader) = self.readers.get(name) else { continue };
            let log_probs = reader.log_probs(texts)?;
            let fits = |(text, log_probs): (&Vec<Token>, &Vec<f32>)| text.len() == log_probs.len();
            if log_probs.len() != texts.len() || !texts.iter().zip(&log_probs).all(fits) {
                return Err(Error::model(format!(
                    "the reader {name:?} answered with another number of log-probabilities"
                ))
                .help("one list per text, one number per token"));
            }
            self.forwards += texts.len();
            read.insert(name.clone(), log_probs.into_iter().map(Arc::from).collect());
        }
        let answer = |place: Place| match place {
            Place::View(at) => match &predictions[at] {
                Some(Prediction::Scores(scores)) => Ok(Answer::Scores(scores.clone())),
                Some(Prediction::Hidden(hidden)) => Ok(Answer::Hidden(hidden.clone())),
                None => Err(Error::model("a question was left without an answer")),
            },
            Place::Text(reader, at) => match read.get(&reader).and_then(|texts| texts.get(at)) {
                Some(log_probs) => Ok(Answer::Text(log_probs.clone())),
                None => Err(Error::model("a text was left unread")),
            },
        };
        let of_hook = |places: Vec<Place>| places.into_iter().map(answer).collect::<Result<Vec<_>>>();
        let of_lane = |hooks: Vec<Vec<Place>>| hooks.into_iter().map(of_hook).collect::<Result<Vec<_>>>();
        places.into_iter().map(of_lane).collect()
    }
}

/// Questions by lane, hook and number.
type Asks = Vec<Vec<Vec<Ask>>>;

/// The number of distinct questions.
fn count(asks: &[&Ask]) -> usize {
    (0..asks.len()).filter(|&i| !asks[..i].contains(&asks[i])).count()
}
