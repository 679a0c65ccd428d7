//! The keyword `format`: the language of each format.

use super::number::{Decimal, INTEGER};
use crate::{Error, Language, Result, util::nearest};

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

/// The numbers of a format, such as the integer widths of OpenAPI; `None` for a format of strings.
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

/// The strings of a format. An unknown format is a remark, as the standard says, unless its name looks misspelt.
///
/// # Errors
/// `Unsupported` for formats that are not regular, and for names that look like a misspelt format.
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
        "uri" | "url" => URI.absolute(),
        "uri-reference" => URI.reference(),
        "iri" => IRI.absolute(),
        "iri-reference" => IRI.reference(),
        "uri-template" => uri_template(),
        "uuid" => uuid("[0-9a-fA-F]", "[0-9a-fA-F]"),
        "uuid1" | "uuid3" | "uuid4" | "uuid5" | "uuid6" | "uuid7" | "uuid8" => uuid(&name[4..], "[89abAB]"),
        "json-pointer" => json_pointer(),
        "relative-json-pointer" => format!("(?:0|[1-9][0-9]*)(?:#|{})", json_pointer()),
        _ => {
            let (message, help) = match nearest(name, NAMES) {
                _ if NAMES.contains(&name) => (
                    format!("the format {name:?} cannot be kept exactly"),
                    "use `pattern`, or take formats as remarks: `format = false` in a constraint file".to_string(),
                ),
                Some(near) => (
                    format!("the format {name:?} is not known"),
                    format!("did you mean {near:?}? otherwise use `pattern`"),
                ),
                None => return Ok(Language::Any),
            };
            return Err(Error::unsupported(message).help(help));
        }
    };
    Ok(Language::Regex(pattern))
}

fn date() -> String {
    // Years divisible by four, but by 100 only if by 400.
    let leap = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
    format!(
        "(?:[0-9]{{4}}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)\
         |02-(?:0[1-9]|1[0-9]|2[0-8]))|{leap}-02-29)"
    )
}

/// The time of day. Leap seconds are allowed where the time is in UTC.
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

fn uuid(version: &str, variant: &str) -> String {
    let hex = "[0-9a-fA-F]";
    format!("{hex}{{8}}-{hex}{{4}}-{version}{hex}{{3}}-{variant}{hex}{{3}}-{hex}{{12}}")
}

const PCT: &str = "%[0-9A-Fa-f]{2}";
const UNRESERVED: &str = r"A-Za-z0-9\-._~";
const SUB: &str = "!$&'()*+,;=";

/// URIs and IRIs of RFC 3986 and RFC 3987.
struct Identifiers {
    /// Characters beyond ASCII.
    more: &'static str,
    /// The same, in queries only.
    private: &'static str,
}

const URI: Identifiers = Identifiers { more: "", private: "" };
const IRI: Identifiers = Identifiers {
    more: "\u{a0}-\u{d7ff}\u{f900}-\u{fdcf}\u{fdf0}-\u{ffef}\u{10000}-\u{1fffd}\u{20000}-\u{2fffd}\u{30000}-\u{3fffd}\
            \u{40000}-\u{4fffd}\u{50000}-\u{5fffd}\u{60000}-\u{6fffd}\u{70000}-\u{7fffd}\u{80000}-\u{8fffd}\u{90000}-\u{9fffd}\
            \u{a0000}-\u{afffd}\u{b0000}-\u{bfffd}\u{c0000}-\u{cfffd}\u{d0000}-\u{dfffd}\u{e1000}-\u{efffd}",
    private: "\u{e000}-\u{f8ff}\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}",
};

impl Identifiers {
    /// A character of a path, where the whole begins with two slashes, and what may follow a path.
    fn parts(&self) -> (String, String, String) {
        let Self { more, private } = self;
        let pchar = format!("(?:[{UNRESERVED}{SUB}:@{more}]|{PCT})");
        let tail = format!(
            r"(?:\?(?:[{UNRESERVED}{SUB}:@/?{more}{private}]|{PCT})*)?(?:#(?:[{UNRESERVED}{SUB}:@/?{more}]|{PCT})*)?"
        );
        let user = format!("(?:(?:[{UNRESERVED}{SUB}:{more}]|{PCT})*@)?");
        let future = format!(r"[vV][0-9A-Fa-f]+\.[{UNRESERVED}{SUB}:]+");
        let host = format!(r"(?:\[(?:{}|{future})\]|(?:[{UNRESERVED}{SUB}{more}]|{PCT})*)", ipv6());
        let authority = format!("//{user}{host}(?::[0-9]*)?(?:/{pchar}*)*");
        (pchar, authority, tail)
    }

    fn absolute(&self) -> String {
        let (pchar, authority, tail) = self.parts();
        format!(r"[A-Za-z][A-Za-z0-9+\-.]*:(?:{authority}|/(?:{pchar}+(?:/{pchar}*)*)?|{pchar}+(?:/{pchar}*)*|){tail}")
    }

    fn reference(&self) -> String {
        let (pchar, authority, tail) = self.parts();
        let no_colon = format!("(?:[{UNRESERVED}{SUB}@{}]|{PCT})+", self.more);
        let relative = format!("(?:{authority}|/(?:{pchar}+(?:/{pchar}*)*)?|{no_colon}(?:/{pchar}*)*|){tail}");
        format!("{}|{relative}", self.absolute())
    }
}

/// URI templates of RFC 6570.
fn uri_template() -> String {
    let name = format!(r"(?:[A-Za-z0-9_]|{PCT})+(?:\.(?:[A-Za-z0-9_]|{PCT})+)*");
    let variable = format!(r"{name}(?::[1-9][0-9]{{0,3}}|\*)?");
    let literal = format!(r#"[^\x00-\x20"<>%\\^`{{|}}\x7F]|{PCT}"#);
    format!(r"(?:{literal}|\{{[+#./;?&=,!@|]?{variable}(?:,{variable})*\}})*")
}

fn json_pointer() -> String {
    r"(?:/(?:[^/~]|~[01])*)*".into()
}

#[cfg(test)]
mod tests {
    use super::language;
    #[cfg(feature = "verify")]
    use {
        crate::automata::{Dfa, Limits},
        rand::{Rng, SeedableRng},
        serde_json::json,
    };

    /// Texts to start from, of each format.
    #[cfg(feature = "verify")]
    const SEEDS: &[(&str, &[&str])] = &[
        ("date", &["2024-02-29", "1900-12-31"]),
        ("time", &["23:59:60Z", "12:30:00.25+01:00"]),
        ("date-time", &["2024-02-29T23:59:60Z", "1999-01-01t00:00:00-23:59"]),
        ("duration", &["P1Y2M3DT4H5M6S", "PT36H", "P4W"]),
        ("email", &["a.b+c@example.com", "x@a-b.c"]),
        ("ipv4", &["192.168.0.1", "255.255.255.255"]),
        ("ipv6", &["::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "fe80::1"]),
        ("uri", &["http://u:p@h.example:80/a;b/c?d=e#f", "urn:a:b", "http://[::1]/%41", "x:"]),
        ("uri-reference", &["//h/a", "../b?c#d", "a/b:c", ""]),
        ("iri", &["http://ü@bücher.example/straße?q=é\u{e000}#ö", "http://[2001:db8::1]/", "x:\u{10000}"]),
        ("iri-reference", &["//ü/ä", "ä:b", "./ä?\u{f8ff}"]),
        ("uri-template", &["http://a/{b}{?c,d*}{/e:3}", "{+x.y_z%41}", "'ä%20"]),
        ("uuid", &["01234567-89ab-cdef-0123-456789ABCDEF"]),
        ("json-pointer", &["/a~0b/~1/", "", "//"]),
        ("relative-json-pointer", &["0#", "12/a/b", "1"]),
    ];

    /// Against the formats of the `jsonschema` crate, on texts a few changes away from valid ones.
    #[cfg(feature = "verify")]
    #[test]
    fn formats_are_what_others_take_them_for() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let signs: Vec<char> =
            "09aFgZtTzPWYMDHS.:-+/?#[]@!$&'()*,;=%~ \\^`{|}\"<>_äé\u{a0}\u{e000}\u{fffd}\u{fdd0}\u{1fffe}"
                .chars()
                .collect();
        for (name, seeds) in SEEDS {
            let dfa = Dfa::compile(&language(name).unwrap(), &Limits::default()).unwrap();
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&json!({"format": name}))
                .unwrap();
            let mut valid = 0;
            for round in 0..6000 {
                let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
                for _ in 0..rng.random_range(0..4) {
                    let at = rng.random_range(0..=text.len());
                    let sign = signs[rng.random_range(0..signs.len())];
                    match rng.random_range(0..4) {
                        0 => text.insert(at, sign),
                        1 if at < text.len() => text[at] = sign,
                        2 if at < text.len() => drop(text.remove(at)),
                        _ => text.extend_from_within(..at),
                    }
                }
                let text: String = text.into_iter().collect();
                let theirs = validator.is_valid(&json!(text));
                assert_eq!(dfa.accepts(text.as_bytes()), theirs, "{name}: {text:?}");
                valid += theirs as usize;
            }
            assert!(valid > 500, "{name}: {valid}");
        }
    }

    #[test]
    fn what_nobody_knows_is_a_remark_but_a_slip_is_an_error() {
        for remark in ["path", "html-selector", "password", "binary", "uint", "color-hex", "pep508"] {
            assert_eq!(language(remark).unwrap(), crate::Language::Any, "{remark}");
        }
        for slip in ["datetime", "Email", "hostnam", "uudi"] {
            assert!(language(slip).unwrap_err().helps()[0].contains("did you mean"), "{slip}");
        }
        assert!(language("regex").is_err());
    }
}
