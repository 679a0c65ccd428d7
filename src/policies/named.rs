use super::{EntropyBound, Order, Policy, Ranked, Remdm, Spread, Threshold};
use crate::{Error, Result, Settings};

/// Every policy with a line on what it does and the names that other engines give it.
pub const NAMES: &[(&str, &str, &[&str])] = &[
    ("confidence", "the most probable tokens first", &["low_confidence", "low_confidence_static", "maskgit_plus"]),
    ("margin", "where the best token leads most", &["topk_margin"]),
    ("entropy", "where the least is uncertain", &[]),
    ("random", "in random order", &["origin"]),
    ("sequential", "left to right", &["left_to_right"]),
    ("threshold", "all that are probable enough (threshold = 0.9)", &["low_confidence_dynamic"]),
    ("entropy_bound", "as many as stay jointly certain (entropy_bound = 0.1 nats)", &["entropy_bounded", "eb"]),
    ("spread", "the most probable, never neighbours together", &[]),
    ("remdm", "by confidence, taking some back on the way (eta = 0.02)", &["remask"]),
];

/// Makes the policy that `settings` name; `confidence` if they name none.
///
/// Aliases bring the defaults of the engine they come from: `low_confidence_dynamic` 0.85, `entropy_bounded` 0.35.
///
/// # Errors
/// An unknown name, or an option that the named policy does not have: nothing is ignored.
pub fn by_name(settings: &Settings) -> Result<Box<dyn Policy>> {
    let given = settings.policy.as_deref().unwrap_or("confidence");
    let wanted = given.replace('-', "_").to_lowercase();
    let name = NAMES.iter().find(|(name, _, aliases)| *name == wanted || aliases.contains(&wanted.as_str()));
    let Some(&(name, ..)) = name else {
        let known: Vec<&str> = NAMES.iter().map(|(name, ..)| *name).collect();
        return Err(
            Error::input(format!("there is no policy {given:?}")).help(format!("policies: {}", known.join(", ")))
        );
    };
    let options = [
        ("threshold", settings.threshold, "threshold", 0.0..=1.0),
        ("entropy_bound", settings.entropy_bound, "entropy_bound", 0.0..=f32::MAX),
        ("eta", settings.eta, "remdm", 0.0..=1.0),
    ];
    for (option, value, owner, range) in options {
        let Some(value) = value else { continue };
        if owner != name {
            return Err(Error::input(format!("policy `{name}` has no option `{option}`"))
                .help(format!("`{option}` belongs to policy `{owner}`")));
        }
        if !range.contains(&value) {
            let range = if *range.end() == 1.0 { "between 0 and 1" } else { "0 or more" };
            return Err(Error::input(format!("`{option}` must be {range}, not {value}")));
        }
    }
    Ok(match name {
        "margin" => Box::new(Ranked(Order::Margin)),
        "entropy" => Box::new(Ranked(Order::Entropy)),
        "random" => Box::new(Ranked(Order::Random)),
        "sequential" => Box::new(Ranked(Order::Sequential)),
        "threshold" => {
            let default = if wanted == "low_confidence_dynamic" { 0.85 } else { 0.9 };
            Box::new(Threshold(settings.threshold.unwrap_or(default)))
        }
        "entropy_bound" => {
            let default = if wanted == "entropy_bounded" { 0.35 } else { 0.1 };
            Box::new(EntropyBound(settings.entropy_bound.unwrap_or(default)))
        }
        "spread" => Box::new(Spread),
        "remdm" => Box::new(Remdm { eta: settings.eta.unwrap_or(0.02) }),
        _ => Box::new(Ranked(Order::Confidence)),
    })
}
