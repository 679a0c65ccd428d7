//! The dialects of JSON Schema and their differences.

use crate::{Error, Result, check::json_schema::Draft};
#[cfg(feature = "verify")]
use referencing::meta;
use serde_json::Value;

/// A dialect of JSON Schema; older dialects compare as less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dialect {
    Draft4,
    Draft6,
    Draft7,
    Draft2019,
    Draft2020,
}

impl Dialect {
    /// The dialect that `$schema` names, or the inherited one where there is no `$schema`.
    ///
    /// # Errors
    /// `Unsupported` for dialects that are not known.
    pub fn of(schema: &Value, inherited: Self) -> Result<Self> {
        let Some(uri) = schema.get("$schema").and_then(Value::as_str) else { return Ok(inherited) };
        let path = uri.trim_end_matches('#').trim_end_matches('/');
        let path = path.strip_prefix("https://").or(path.strip_prefix("http://"));
        Ok(match path.and_then(|path| path.strip_prefix("json-schema.org/")) {
            Some("draft-04/schema") => Self::Draft4,
            Some("draft-06/schema") => Self::Draft6,
            Some("draft-07/schema") => Self::Draft7,
            Some("draft/2019-09/schema") => Self::Draft2019,
            // Without a version, the latest.
            Some("draft/2020-12/schema" | "schema") => Self::Draft2020,
            _ => {
                let message = format!("`$schema` {uri:?} names no dialect that is read");
                return Err(Error::unsupported(message).help(
                    "there are draft-04, draft-06, draft-07, 2019-09 and 2020-12; leave `$schema` out for the last",
                ));
            }
        })
    }

    /// The name of the dialect in the independent check.
    pub fn of_the_check(self) -> Draft {
        match self {
            Self::Draft4 => Draft::Draft4,
            Self::Draft6 => Draft::Draft6,
            Self::Draft7 => Draft::Draft7,
            Self::Draft2019 => Draft::Draft201909,
            Self::Draft2020 => Draft::Draft202012,
        }
    }

    /// The standard's metaschemas, which a schema may refer to without holding them. They come with the independent
    /// check; without the feature `verify` there are none.
    #[cfg(not(feature = "verify"))]
    pub fn metaschema(_: &str) -> Option<(&'static Value, Self)> {
        None
    }

    /// The standard's metaschemas, which a schema may refer to without holding them.
    #[cfg(feature = "verify")]
    pub fn metaschema(uri: &str) -> Option<(&'static Value, Self)> {
        let draft_2019 = |document: &'static Value| (document, Self::Draft2019);
        let draft_2020 = |document: &'static Value| (document, Self::Draft2020);
        Some(match uri.split_once("://")?.1.strip_prefix("json-schema.org/")? {
            "draft-04/schema" => (&meta::DRAFT4, Self::Draft4),
            "draft-06/schema" => (&meta::DRAFT6, Self::Draft6),
            "draft-07/schema" => (&meta::DRAFT7, Self::Draft7),
            "draft/2019-09/schema" => draft_2019(&meta::DRAFT201909),
            "draft/2019-09/meta/core" => draft_2019(&meta::DRAFT201909_CORE),
            "draft/2019-09/meta/applicator" => draft_2019(&meta::DRAFT201909_APPLICATOR),
            "draft/2019-09/meta/validation" => draft_2019(&meta::DRAFT201909_VALIDATION),
            "draft/2019-09/meta/meta-data" => draft_2019(&meta::DRAFT201909_META_DATA),
            "draft/2019-09/meta/format" => draft_2019(&meta::DRAFT201909_FORMAT),
            "draft/2019-09/meta/content" => draft_2019(&meta::DRAFT201909_CONTENT),
            "draft/2020-12/schema" => draft_2020(&meta::DRAFT202012),
            "draft/2020-12/meta/core" => draft_2020(&meta::DRAFT202012_CORE),
            "draft/2020-12/meta/applicator" => draft_2020(&meta::DRAFT202012_APPLICATOR),
            "draft/2020-12/meta/unevaluated" => draft_2020(&meta::DRAFT202012_UNEVALUATED),
            "draft/2020-12/meta/validation" => draft_2020(&meta::DRAFT202012_VALIDATION),
            "draft/2020-12/meta/meta-data" => draft_2020(&meta::DRAFT202012_META_DATA),
            "draft/2020-12/meta/format-annotation" => draft_2020(&meta::DRAFT202012_FORMAT_ANNOTATION),
            "draft/2020-12/meta/format-assertion" => draft_2020(&meta::DRAFT202012_FORMAT_ASSERTION),
            "draft/2020-12/meta/content" => draft_2020(&meta::DRAFT202012_CONTENT),
            _ => return None,
        })
    }

    /// Whether a keyword has a meaning in this dialect. The caller ignores keywords of no dialect, as the standard
    /// says. `dependencies` has a meaning in all dialects, as in other implementations.
    pub fn has(self, keyword: &str) -> bool {
        match keyword {
            "const" | "contains" | "propertyNames" => self >= Self::Draft6,
            "if" | "then" | "else" => self >= Self::Draft7,
            "dependentRequired"
            | "dependentSchemas"
            | "minContains"
            | "maxContains"
            | "unevaluatedProperties"
            | "unevaluatedItems"
            | "$anchor" => self >= Self::Draft2019,
            "$recursiveRef" | "$recursiveAnchor" => self == Self::Draft2019,
            "$dynamicRef" | "$dynamicAnchor" | "prefixItems" => self == Self::Draft2020,
            "additionalItems" => self < Self::Draft2020,
            _ => true,
        }
    }

    /// Whether keywords beside `$ref` are ignored.
    pub fn ref_stands_alone(self) -> bool {
        self < Self::Draft2019
    }

    /// The keyword with schemas for each of the first items.
    pub fn listed_items(self) -> &'static str {
        if self == Self::Draft2020 { "prefixItems" } else { "items" }
    }

    /// The keyword that names a schema.
    pub fn id(self) -> &'static str {
        if self == Self::Draft4 { "id" } else { "$id" }
    }

    /// Whether the standard makes `format` a remark.
    pub fn format_is_a_remark(self) -> bool {
        self >= Self::Draft2019
    }
}
