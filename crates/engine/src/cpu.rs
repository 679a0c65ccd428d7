//! The vector instructions that the inner loops use: the one place that asks the processor.
//!
//! A [`Level`] that needs more than every processor of its architecture has carries a proof: `Avx512`, `Avx2` or
//! `Neon`, values that only this module makes, after it has asked the processor. Code compiled for such instructions
//! requires the proof, so that safe code cannot call it on a processor that lacks them.
//!
//! The environment variable `STENCIL_SIMD` forces a lower level than the best one: `avx512`, `avx2`, `neon` or
//! `portable`.

use crate::{Error, Result};
use std::{env, fmt, sync::OnceLock};

/// The environment variable that names the level to use.
pub const VARIABLE: &str = "STENCIL_SIMD";

/// Proof that the processor has AVX-512 (F, BW, CD, DQ and VL), and AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx512(());

/// Proof that the processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Avx2(());

/// Proof that the processor has NEON.
#[cfg(target_arch = "aarch64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neon(());

/// A set of vector instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// Vectors of 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// Vectors of 256 bits, with fused multiplication and addition.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// Vectors of 128 bits, with fused multiplication and addition.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// The instructions that every processor of the architecture has.
    Portable,
}

/// Every level's name, on whatever architecture.
const NAMES: [&str; 4] = ["avx512", "avx2", "neon", "portable"];

impl Level {
    /// All levels of this processor, the best first; the last one is [`Level::Portable`].
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            macro_rules! has {
                ($($name:tt),*) => { $(is_x86_feature_detected!($name))&&* };
            }
            let avx2 = has!("avx2", "fma");
            if avx2 && has!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl") {
                found.push(Self::Avx512(Avx512(())));
            }
            if avx2 {
                found.push(Self::Avx2(Avx2(())));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Self::Neon(Neon(())));
        }
        found.push(Self::Portable);
        found
    }

    /// The best level of this processor.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// The name by which `STENCIL_SIMD` knows it.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Portable => "portable",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the variable asked for when it was first read.
fn request() -> &'static std::result::Result<Option<Level>, String> {
    static REQUEST: OnceLock<std::result::Result<Option<Level>, String>> = OnceLock::new();
    REQUEST.get_or_init(|| {
        let name = env::var_os(VARIABLE).filter(|name| !name.is_empty());
        name.map(|name| find(name.to_string_lossy().trim().to_lowercase().as_str(), &Level::available())).transpose()
    })
}

/// The level of this name, or why there is none.
fn find(name: &str, available: &[Level]) -> std::result::Result<Level, String> {
    match available.iter().find(|level| level.name() == name) {
        Some(level) => Ok(*level),
        None if NAMES.contains(&name) => Err(format!("{VARIABLE}: this processor has no {name}")),
        None => Err(format!("{VARIABLE}: there is no level {name:?}")),
    }
}

/// The level that all loops use: the one that `STENCIL_SIMD` names, or else the best one. It is decided once per process.
///
/// A request that cannot be met does not change the level; [`forced`] reports it.
#[inline]
pub fn level() -> Level {
    decided().0
}

/// Whether [`level`] is lower than the best one: code that detects the processor by itself must then be told.
#[inline]
pub fn lowered() -> bool {
    decided().1
}

#[inline]
fn decided() -> (Level, bool) {
    static DECIDED: OnceLock<(Level, bool)> = OnceLock::new();
    *DECIDED.get_or_init(|| {
        let (asked, best) = (request().as_ref().ok().copied().flatten(), Level::best());
        asked.map_or((best, false), |level| (level, level != best))
    })
}

/// The level that `STENCIL_SIMD` names; `None` where the variable is unset or empty.
///
/// # Errors
/// A name that is no level's, or that of a level which this processor lacks.
pub fn forced() -> Result<Option<Level>> {
    request().clone().map_err(|message| {
        let names: Vec<&str> = Level::available().into_iter().map(Level::name).collect();
        Error::input(message).help(format!("this processor has: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_found_by_its_name_and_nothing_else_is() {
        let available = Level::available();
        assert_eq!(available.last(), Some(&Level::Portable));
        assert_eq!(available[0], Level::best());
        for level in &available {
            assert!(NAMES.contains(&level.name()));
            assert_eq!(find(level.name(), &available), Ok(*level));
        }
        for missing in NAMES.into_iter().filter(|name| available.iter().all(|level| level.name() != *name)) {
            assert!(find(missing, &available).unwrap_err().contains("this processor has no"), "{missing}");
        }
        assert!(find("avx512", &[Level::Portable]).unwrap_err().contains("this processor has no avx512"));
        for unknown in ["sse2", "AVX2", " avx2", ""] {
            assert!(find(unknown, &available).unwrap_err().contains("there is no level"), "{unknown}");
        }
    }
}
