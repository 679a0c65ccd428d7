//! The strings of `format`.

use super::number::{Decimal, INTEGER};
use crate::{Error, Language, Result, spec::nearest};

const NAMES: [&str; 19] = [
    "date",
    "time",
    "date-time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "uuid",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// The numbers of a format: widths that OpenAPI names. `None` for a format of strings.
pub(super) fn numbers(name: &str) -> Option<Language> {
    let (unsigned, bits) = match (name, name.strip_prefix("uint"), name.strip_prefix("int")) {
        ("float" | "double", ..) => return Some(Language::Any),
        (_, Some(bits), _) => (true, bits),
        (_, _, Some(bits)) => (false, bits),
        _ => return None,
    };
    let bits: u32 = bits.parse().ok().filter(|bits| [8, 16, 32, 64].contains(bits))?;
    let bound = |value: String| Decimal::parse(&value);
    let (least, most) = match unsigned {
        true => ("0".to_string(), u64::MAX >> (64 - bits)),
        false => (format!("-{}", 1u64 << (bits - 1)), u64::MAX >> (65 - bits)),
    };
    let (least, most) = (bound(least)?.at_least(true), bound(most.to_string())?.at_most(true));
    Some(Language::Intersect(vec![Language::regex(INTEGER), least, most]))
}

/// The strings of a format.
///
/// # Errors
/// `Unsupported` for formats that are not regular or not known.
pub(super) fn language(name: &str) -> Result<Language> {
    let pattern = match name {
        "date" => date(),
        "time" => time(),
        "date-time" => return Ok(date_time()),
        "duration" => duration(),
        "email" => email(),
        "hostname" => return Ok(hostname()),
        "ipv4" => ipv4(),
        "ipv6" => ipv6(),
        "uri" => uri(),
        "uri-reference" => format!("{}|{}", uri(), relative_reference()),
        "uuid" => "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".into(),
        "json-pointer" => json_pointer(),
        "relative-json-pointer" => format!("(?:0|[1-9][0-9]*)(?:#|{})", json_pointer()),
        _ => {
            let known = NAMES.contains(&name);
            let message = match known {
                true => format!("the format {name:?} cannot be kept exactly"),
                false => format!("the format {name:?} is not known"),
            };
            let error = Error::unsupported(message);
            return Err(match nearest(name, NAMES) {
                Some(near) if !known => error.help(format!("did you mean {near:?}? otherwise use `pattern`")),
                _ => error.help("use `pattern`, or take formats as remarks: `format = false` in a constraint file"),
            });
        }
    };
    Ok(Language::Regex(pattern))
}

fn date() -> String {
    // Years divisible by 4, but by 100 only if by 400.
    let leap = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
    format!(
        "(?:[0-9]{{4}}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)\
         |02-(?:0[1-9]|1[0-9]|2[0-8]))|{leap}-02-29)"
    )
}

/// Leap seconds are kept where the time is in UTC.
fn time() -> String {
    let hours = "(?:[01][0-9]|2[0-3])";
    let fraction = r"(?:\.[0-9]+)?";
    format!(
        "(?:{hours}:[0-5][0-9]:[0-5][0-9]{fraction}(?:[zZ]|[+-]{hours}:[0-5][0-9])\
         |23:59:60{fraction}(?:[zZ]|[+-]00:00))"
    )
}

fn date_time() -> Language {
    Language::Concat(vec![Language::Regex(date()), Language::regex("[tT]"), Language::Regex(time())])
}

fn duration() -> String {
    let time = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
    let date = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)";
    format!("P(?:{date}(?:{time})?|{time}|[0-9]+W)")
}

const LABEL: &str = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

fn email() -> String {
    let atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
    format!(r"{atom}(?:\.{atom})*@{LABEL}(?:\.{LABEL})*")
}

fn hostname() -> Language {
    let labels = Language::Regex(format!(r"{LABEL}(?:\.{LABEL})*"));
    // Two hyphens after two characters mark names that are encoded in some way.
    let encoded = Language::regex(r"(?:.*\.)?..--.*");
    labels.and(encoded.not()).and(Language::regex(".{1,253}"))
}

fn ipv4() -> String {
    let byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!(r"{byte}(?:\.{byte}){{3}}")
}

fn ipv6() -> String {
    let group = "[0-9a-fA-F]{1,4}";
    let last = format!("(?:{group}:{group}|{})", ipv4());
    let mut ways = vec![format!("(?:{group}:){{6}}{last}")];
    for before in 0..=7usize {
        let left = match before {
            0 => String::new(),
            1 => group.to_string(),
            n => format!("{group}(?::{group}){{{}}}", n - 1),
        };
        // At most seven groups are written; the last two may be an IPv4 address.
        let right = 7 - before;
        let mut rights = vec![String::new()];
        if right >= 1 {
            rights.push(format!("{group}(?::{group}){{0,{}}}", right - 1));
        }
        if right >= 2 {
            rights.push(format!("(?:{group}:){{0,{}}}{}", right - 2, ipv4()));
        }
        ways.push(format!("{left}::(?:{})", rights.join("|")));
    }
    format!("(?:{})", ways.join("|"))
}

const PCT: &str = "%[0-9A-Fa-f]{2}";
const UNRESERVED: &str = r"A-Za-z0-9\-._~";
const SUB: &str = "!$&'()*+,;=";

fn uri_parts() -> (String, String, String) {
    let pchar = format!("(?:[{UNRESERVED}{SUB}:@]|{PCT})");
    let tail = format!(r"(?:\?(?:[{UNRESERVED}{SUB}:@/?]|{PCT})*)?(?:#(?:[{UNRESERVED}{SUB}:@/?]|{PCT})*)?");
    let user = format!("(?:(?:[{UNRESERVED}{SUB}:]|{PCT})*@)?");
    let future = format!(r"[vV][0-9A-Fa-f]+\.[{UNRESERVED}{SUB}:]+");
    let host = format!(r"(?:\[(?:{}|{future})\]|(?:[{UNRESERVED}{SUB}]|{PCT})*)", ipv6());
    let authority = format!("//{user}{host}(?::[0-9]*)?(?:/{pchar}*)*");
    (pchar, authority, tail)
}

fn uri() -> String {
    let (pchar, authority, tail) = uri_parts();
    format!(r"[A-Za-z][A-Za-z0-9+\-.]*:(?:{authority}|/(?:{pchar}+(?:/{pchar}*)*)?|{pchar}+(?:/{pchar}*)*|){tail}")
}

fn relative_reference() -> String {
    let (pchar, authority, tail) = uri_parts();
    let no_colon = format!("(?:[{UNRESERVED}{SUB}@]|{PCT})+");
    format!("(?:{authority}|/(?:{pchar}+(?:/{pchar}*)*)?|{no_colon}(?:/{pchar}*)*|){tail}")
}

fn json_pointer() -> String {
    r"(?:/(?:[^/~]|~[01])*)*".into()
}
