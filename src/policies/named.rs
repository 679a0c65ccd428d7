use super::{Edit, EntropyBound, Factor, Hierarchy, Order, Pace, Policy, Ranked, Remdm, Spread, Stop, Threshold};
use crate::{Error, Result, Settings};
use std::ops::RangeInclusive;

/// Every policy with a line on what it does and the names that other engines give it.
pub const NAMES: &[(&str, &str, &[&str])] = &[
    ("confidence", "the most probable tokens first", &["low_confidence", "low_confidence_static", "maskgit_plus"]),
    ("margin", "where the best token leads most", &["topk_margin"]),
    ("entropy", "where the least is uncertain", &[]),
    ("random", "in random order", &["origin"]),
    ("sequential", "left to right", &["left_to_right"]),
    (
        "threshold",
        "all that are probable enough (threshold = 0.9)",
        &["low_confidence_dynamic", "confidence_threshold"],
    ),
    (
        "hierarchy",
        "the best of each run of open ones, and all that are probable enough (threshold = 0.9, low_threshold = 0.6)",
        &["hierarchical"],
    ),
    ("factor", "the n surest while (n + 1)(1 - probability) < factor (1)", &["dynamic"]),
    ("entropy_bound", "as many as stay jointly certain (entropy_bound = 0.1 nats)", &["entropy_bounded", "eb"]),
    (
        "edit",
        "all that are probable enough, overwriting what is written (threshold = 0.95, editing_threshold = 0.9)",
        &["token_editing"],
    ),
    ("spread", "the most probable, never neighbours together", &[]),
    ("remdm", "by confidence, taking some back on the way (eta = 0.02)", &["remask"]),
];

/// Policies that write the best positions of an order.
const RANKED: &[&str] = &["confidence", "margin", "entropy", "random", "sequential"];

/// Makes the policy that `settings` name; `default` if they name none.
///
/// Aliases bring what is peculiar to the engine they come from: `low_confidence_dynamic` a threshold of 0.85,
/// `entropy_bounded` a bound of 0.35, `low_confidence_static` shares of a whole block.
///
/// # Errors
/// An unknown name, or an option that the named policy does not have: nothing is ignored.
pub fn by_name(settings: &Settings, default: &str) -> Result<Box<dyn Policy>> {
    let given = settings.policy.as_deref().unwrap_or(default);
    let wanted = given.replace('-', "_").to_lowercase();
    let name = NAMES.iter().find(|(name, _, aliases)| *name == wanted || aliases.contains(&wanted.as_str()));
    let Some(&(name, ..)) = name else {
        let known: Vec<&str> = NAMES.iter().map(|(name, ..)| *name).collect();
        return Err(
            Error::input(format!("there is no policy {given:?}")).help(format!("policies: {}", known.join(", ")))
        );
    };
    check(settings, name)?;
    let pace = match (settings.eps, wanted.as_str()) {
        (Some(eps), _) => Pace::falling(eps),
        (None, "low_confidence_static" | "low_confidence_dynamic") => Pace::Block,
        (None, _) => Pace::Even,
    };
    let ranked = |order| Box::new(Ranked { order, pace, temperature: settings.alg_temp.unwrap_or(0.0) });
    Ok(match name {
        "margin" => ranked(Order::Margin),
        "entropy" => ranked(Order::Entropy),
        "random" => ranked(Order::Random),
        "sequential" => ranked(Order::Sequential),
        "threshold" => {
            let default = if wanted == "low_confidence_dynamic" { 0.85 } else { 0.9 };
            Box::new(Threshold { threshold: settings.threshold.unwrap_or(default), pace })
        }
        "hierarchy" => Box::new(Hierarchy {
            threshold: settings.threshold.unwrap_or(0.9),
            low: settings.low_threshold.unwrap_or(0.6),
        }),
        "factor" => Box::new(Factor(settings.factor.unwrap_or(1.0))),
        "entropy_bound" => {
            let default = if wanted == "entropy_bounded" { 0.35 } else { 0.1 };
            let bound = settings.entropy_bound.unwrap_or(default);
            Box::new(EntropyBound { bound, stop: Stop::below(settings.stop_entropy.unwrap_or(0.005)) })
        }
        "edit" => Box::new(Edit::new(
            settings.threshold.unwrap_or(0.95),
            settings.editing_threshold.unwrap_or(0.9),
            settings.post_steps.unwrap_or(16),
        )),
        "spread" => Box::new(Spread),
        "remdm" => Box::new(Remdm { eta: settings.eta.unwrap_or(0.02) }),
        _ => ranked(Order::Confidence),
    })
}

/// Every option that is given belongs to the policy and lies in its range.
fn check(settings: &Settings, name: &str) -> Result<()> {
    const SHARE: RangeInclusive<f32> = 0.0..=1.0;
    const ANY: RangeInclusive<f32> = 0.0..=f32::MAX;
    let options: [(_, _, &[&str], _); 10] = [
        ("threshold", settings.threshold, &["threshold", "hierarchy", "edit"], SHARE),
        ("low_threshold", settings.low_threshold, &["hierarchy"], SHARE),
        ("factor", settings.factor, &["factor"], ANY),
        ("editing_threshold", settings.editing_threshold, &["edit"], SHARE),
        ("post_steps", settings.post_steps.map(|n| n as f32), &["edit"], 0.0..=64.0),
        ("entropy_bound", settings.entropy_bound, &["entropy_bound"], ANY),
        ("stop_entropy", settings.stop_entropy, &["entropy_bound"], ANY),
        ("eta", settings.eta, &["remdm"], SHARE),
        ("eps", settings.eps, RANKED, SHARE),
        ("alg_temp", settings.alg_temp, RANKED, ANY),
    ];
    for (option, value, owners, range) in options {
        let Some(value) = value else { continue };
        if !owners.contains(&name) {
            let owners: Vec<String> = owners.iter().map(|owner| format!("`{owner}`")).collect();
            return Err(Error::input(format!("policy `{name}` has no option `{option}`"))
                .help(format!("`{option}` belongs to policy {}", owners.join(", "))));
        }
        if !range.contains(&value) {
            let range = match *range.end() {
                f32::MAX => "0 or more".to_string(),
                end => format!("between 0 and {end}"),
            };
            return Err(Error::input(format!("`{option}` must be {range}, not {value}")));
        }
    }
    Ok(())
}
