//! Rotary positions: their scaling in configurations, and their angles.

use super::plan::RopePlan;
use crate::{Error, Result};
use serde::Deserialize;

/// The table `rope_scaling` of a configuration, or an entry of `rope_parameters`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RopeScaling {
    /// `default`, `linear`, `dynamic`, `llama3`, `yarn`, `proportional`.
    pub rope_type: Option<String>,
    /// The key of older files; `rope_type` takes precedence.
    #[serde(rename = "type")]
    pub legacy_type: Option<String>,
    /// Base of the frequencies.
    pub rope_theta: Option<f64>,
    /// The ratio of the maximum length to the training length.
    pub factor: Option<f64>,
    /// The share of a head that is rotated.
    pub partial_rotary_factor: Option<f64>,
    /// `llama3`: the bound below which frequencies are divided.
    pub low_freq_factor: Option<f64>,
    /// `llama3`: the bound above which frequencies are unchanged.
    pub high_freq_factor: Option<f64>,
    /// The number of positions in training.
    pub original_max_position_embeddings: Option<f64>,
    /// `yarn`: factor on cos and sin.
    pub attention_factor: Option<f64>,
    /// `yarn`: the numerator of the factor on cos and sin.
    pub mscale: Option<f64>,
    /// `yarn`: the denominator of the factor on cos and sin.
    pub mscale_all_dim: Option<f64>,
    /// `yarn`: the number of turns above which frequencies are unchanged.
    pub beta_fast: Option<f64>,
    /// `yarn`: the number of turns below which frequencies are divided.
    pub beta_slow: Option<f64>,
    /// `yarn`: whether the bounds are rounded to whole dimensions.
    pub truncate: Option<bool>,
}

impl RopeScaling {
    /// The kind of scaling; `default` where the configuration gives none.
    pub fn kind(&self) -> &str {
        self.rope_type.as_deref().or(self.legacy_type.as_deref()).unwrap_or("default")
    }
}

impl RopePlan {
    /// Unscaled angles for `rotary` rotated dimensions of a head, with base `theta`.
    pub fn plain(rotary: usize, theta: f64) -> Self {
        Self { frequencies: powers(rotary / 2, rotary, theta), magnitude: 1.0 }
    }

    /// Scaled angles; `max_len` is the maximum number of positions of the model.
    ///
    /// # Errors
    /// An unknown kind of scaling, or missing numbers.
    pub fn scaled(head: usize, rotary: usize, theta: f64, scaling: &RopeScaling, max_len: usize) -> Result<Self> {
        if rotary < 2 {
            return Err(Error::model(format!("rotary positions turn no dimension of a head of {head}"))
                .help("see \"partial_rotary_factor\" and \"rotary_dim\" in config.json"));
        }
        let plain = Self::plain(rotary, theta);
        let kind = scaling.kind();
        let need = |name: &str, value: Option<f64>| {
            value
                .filter(|v| v.is_finite() && *v > 0.0)
                .ok_or_else(|| Error::model(format!("rope scaling {kind:?} needs {name:?}, a positive number")))
        };
        let original = scaling.original_max_position_embeddings;
        match kind {
            // Dynamic scaling equals no scaling up to the training length; longer texts are refused anyway.
            "default" | "dynamic" => Ok(plain),
            "linear" => {
                let factor = need("factor", scaling.factor)? as f32;
                Ok(Self { frequencies: plain.frequencies.iter().map(|f| f / factor).collect(), magnitude: 1.0 })
            }
            "proportional" => {
                let factor = scaling.factor.unwrap_or(1.0) as f32;
                let turned = (scaling.partial_rotary_factor.unwrap_or(1.0) * head as f64 / 2.0) as usize;
                let mut frequencies = powers(turned.min(head / 2), head, theta);
                frequencies.iter_mut().for_each(|f| *f /= factor);
                frequencies.resize(head / 2, 0.0);
                Ok(Self { frequencies, magnitude: 1.0 })
            }
            "llama3" => {
                let factor = need("factor", scaling.factor)? as f32;
                let low = need("low_freq_factor", scaling.low_freq_factor)? as f32;
                let high = need("high_freq_factor", scaling.high_freq_factor)? as f32;
                let trained = need("original_max_position_embeddings", original)? as f32;
                let stretch = |f: &f32| {
                    let wavelength = std::f32::consts::TAU / f;
                    if wavelength > trained / low {
                        f / factor
                    } else if wavelength < trained / high {
                        *f
                    } else {
                        let smooth = (trained / wavelength - low) / (high - low);
                        (1.0 - smooth) * f / factor + smooth * f
                    }
                };
                Ok(Self { frequencies: plain.frequencies.iter().map(stretch).collect(), magnitude: 1.0 })
            }
            "yarn" => yarn(rotary, theta, scaling, need("factor", scaling.factor)?, original.unwrap_or(max_len as f64)),
            other => Err(Error::unsupported(format!("rope scaling {other:?} is not known"))
                .help("known kinds: default, dynamic, linear, llama3, proportional, yarn")),
        }
    }
}

/// θ^(−2i/width) for the first `count` pairs, rounded as the reference implementations round.
fn powers(count: usize, width: usize, theta: f64) -> Vec<f32> {
    (0..count).map(|i| 1.0 / (theta as f32).powf(2.0 * i as f32 / width as f32)).collect()
}

/// Source: YaRN, arXiv 2309.00071.
fn yarn(rotary: usize, theta: f64, scaling: &RopeScaling, factor: f64, trained: f64) -> Result<RopePlan> {
    let log_scale = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    let magnitude = scaling.attention_factor.unwrap_or_else(|| match (scaling.mscale, scaling.mscale_all_dim) {
        (Some(one), Some(all)) if one != 0.0 && all != 0.0 => log_scale(one) / log_scale(all),
        _ => log_scale(1.0),
    });
    // The dimension whose wavelength fits `turns` times into the training length.
    let dimension = |turns: f64| rotary as f64 * (trained / (turns * std::f64::consts::TAU)).ln() / (2.0 * theta.ln());
    let (mut low, mut high) =
        (dimension(scaling.beta_fast.unwrap_or(32.0)), dimension(scaling.beta_slow.unwrap_or(1.0)));
    if scaling.truncate.unwrap_or(true) {
        (low, high) = (low.floor(), high.ceil());
    }
    let (low, mut high) = (low.max(0.0), high.min(rotary as f64 - 1.0));
    if low == high {
        high += 0.001;
    }
    let frequencies = powers(rotary / 2, rotary, theta)
        .into_iter()
        .enumerate()
        .map(|(i, f)| {
            let stretched = (((i as f64 - low) / (high - low)).clamp(0.0, 1.0)) as f32;
            f / factor as f32 * stretched + f * (1.0 - stretched)
        })
        .collect();
    Ok(RopePlan { frequencies, magnitude: magnitude as f32 })
}
