//! A typed reader for `config.json`: every key has a type and a range.

use crate::models::transformer::{RopeScaling, plan::Activation, plan::RopePlan};
use crate::{Error, Result, Token};
use serde_json::{Map, Value};

/// A configuration, or a table inside one.
#[derive(Debug, Clone, Copy)]
pub struct Config<'a>(&'a Map<String, Value>);

/// Maximum of any size, which keeps products of sizes far from overflow.
const LARGEST: usize = 1 << 24;

impl<'a> Config<'a> {
    /// # Errors
    /// A value that is no object.
    pub fn new(value: &'a Value) -> Result<Self> {
        value.as_object().map(Self).ok_or_else(|| Error::model("the configuration is not a JSON object"))
    }

    /// The value of a key; null counts as absent.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }

    fn wrong(key: &str, expected: &str, found: &Value) -> Error {
        Error::model(format!("\"{key}\" is {found}, expected {expected}"))
    }

    /// A size of at least 1, if the key is present.
    ///
    /// # Errors
    /// Anything else than a whole number in range.
    pub fn size_if(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if (1..=LARGEST).contains(&n) => Ok(Some(n)),
            _ => Err(Self::wrong(key, &format!("a whole number from 1 to {LARGEST}"), value)),
        }
    }
    /// A required size.
    ///
    /// # Errors
    /// A missing key, or a value out of range.
    pub fn size(&self, key: &str) -> Result<usize> {
        self.size_if(key)?.ok_or_else(|| Error::model(format!("\"{key}\" is missing")))
    }
    /// A required size of at most `limit`, for sizes that multiply the number of tensors.
    ///
    /// # Errors
    /// A missing key, or a value out of range.
    pub fn count(&self, key: &str, limit: usize) -> Result<usize> {
        match self.size(key)? {
            n if n <= limit => Ok(n),
            n => Err(Error::model(format!("\"{key}\" is {n}, expected 1 to {limit}"))),
        }
    }
    /// A count of at least 0; 0 where the key is absent.
    ///
    /// # Errors
    /// Anything else than a whole number in range.
    pub fn natural(&self, key: &str) -> Result<usize> {
        match self.get(key).and_then(Value::as_u64) {
            Some(0) => Ok(0),
            _ => Ok(self.size_if(key)?.unwrap_or(0)),
        }
    }
    /// A number above 0, if the key is present.
    ///
    /// # Errors
    /// Anything else.
    pub fn positive_if(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_f64() {
            Some(x) if x > 0.0 && x.is_finite() => Ok(Some(x)),
            _ => Err(Self::wrong(key, "a positive number", value)),
        }
    }
    /// A number above 0, or `default` where the key is absent.
    ///
    /// # Errors
    /// Anything else.
    pub fn positive(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.positive_if(key)?.unwrap_or(default))
    }
    /// A truth value, or `default` where the key is absent.
    ///
    /// # Errors
    /// Anything else.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| Self::wrong(key, "true or false", value))
    }
    /// A text, if the key is present.
    ///
    /// # Errors
    /// Anything else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| Self::wrong(key, "a string", value))
    }
    /// A table, if the key is present.
    ///
    /// # Errors
    /// Anything else.
    pub fn table(&self, key: &str) -> Result<Option<Config<'a>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_object().map(|m| Some(Self(m))).ok_or_else(|| Self::wrong(key, "an object", value))
    }
    /// One token or a list of tokens; empty where the key is absent.
    ///
    /// # Errors
    /// Anything else.
    pub fn tokens(&self, key: &str) -> Result<Vec<Token>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let token = |v: &Value| v.as_u64().and_then(|n| Token::try_from(n).ok());
        let tokens = match value {
            Value::Array(items) => items.iter().map(token).collect(),
            // A negative id stands for no token.
            Value::Number(n) if n.as_i64().is_some_and(|n| n < 0) => Some(Vec::new()),
            one => token(one).map(|t| vec![t]),
        };
        tokens.ok_or_else(|| Self::wrong(key, "a token or a list of tokens", value))
    }

    /// Refuses a switch that is not supported.
    ///
    /// # Errors
    /// If the switch is on.
    pub fn refuse(&self, key: &str) -> Result<()> {
        if self.flag(key, false)? {
            Err(Error::unsupported(format!("\"{key}\": true is not supported")))
        } else {
            Ok(())
        }
    }

    /// The nonlinearity under `key`; SiLU where it is absent.
    ///
    /// # Errors
    /// An unknown name.
    pub fn activation(&self, key: &str) -> Result<Activation> {
        match self.text(key)?.unwrap_or("silu") {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Ok(Activation::GeluTanh),
            "gelu" => Ok(Activation::Gelu),
            "relu" => Ok(Activation::Relu),
            other => Err(Error::unsupported(format!("\"{key}\": {other:?} is not supported"))
                .help("known: silu, gelu, gelu_pytorch_tanh, relu")),
        }
    }

    fn scaling(&self) -> Result<RopeScaling> {
        match self.get("rope_scaling").or_else(|| self.get("rope_parameters")) {
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|e| Error::model("\"rope_scaling\" cannot be read").because(e)),
            None => Ok(RopeScaling::default()),
        }
    }

    /// The number of rotated dimensions of a head: even, and all of them by default.
    ///
    /// # Errors
    /// Shares that are no positive numbers.
    pub fn rotary(&self, head: usize) -> Result<usize> {
        let share = self.positive_if("partial_rotary_factor")?.or(self.scaling()?.partial_rotary_factor);
        let turned = match (share, self.size_if("rotary_dim")?) {
            (Some(share), _) => (head as f64 * share.clamp(0.0, 1.0)) as usize,
            (None, Some(dims)) => dims.min(head),
            (None, None) => head,
        };
        Ok(turned / 2 * 2)
    }

    /// Rotary positions from `rope_theta` and `rope_scaling`, or from `rope_parameters`.
    ///
    /// # Errors
    /// Unknown kinds of scaling, or numbers out of range.
    pub fn rope(&self, head: usize, rotary: usize, theta: f64, max_len: usize) -> Result<RopePlan> {
        let scaling = self.scaling()?;
        let theta = self.positive_if("rope_theta")?.or(scaling.rope_theta).unwrap_or(theta);
        if !(theta > 1.0 && theta.is_finite()) {
            return Err(Error::model(format!("\"rope_theta\" is {theta}, expected a number above 1")));
        }
        RopePlan::scaled(head, rotary, theta, &scaling, max_len)
    }
}

/// Checks that the numbers of heads and their width fit each other.
///
/// # Errors
/// Heads that cannot share keys evenly, and a head of odd width.
pub fn check_heads(heads: usize, kv_heads: usize, head_dim: usize) -> Result<()> {
    if !heads.is_multiple_of(kv_heads) {
        return Err(Error::model(format!("{heads} heads cannot share {kv_heads} heads of keys evenly")));
    }
    if !head_dim.is_multiple_of(2) {
        return Err(Error::model(format!("a head of {head_dim} dimensions cannot be turned in pairs")));
    }
    Ok(())
}

/// The width of a head, where all heads together have the width of the network.
///
/// # Errors
/// A width that the heads do not divide.
pub fn even_head(hidden: usize, heads: usize) -> Result<usize> {
    if hidden.is_multiple_of(heads) {
        Ok(hidden / heads)
    } else {
        Err(Error::model(format!("a width of {hidden} does not split into {heads} heads")))
    }
}
