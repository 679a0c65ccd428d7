//! Made-up records and values: people, contacts, orders, events as JSON, key–value lines and CSV; dates, times, e-mail
//! addresses, telephone numbers, amounts and postal addresses, alone and in sentences. The seed is fixed. Nobody is
//! meant: names are drawn from lists, e-mail addresses end in example.com or example.org (RFC 2606).

use crate::line::Line;
use crate::lists::*;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

const SEED: u64 = 20_240_229;
/// Records of each kind.
const RECORDS: usize = 500;
/// Values of each kind, and sentences with one.
const VALUES: usize = 300;

/// All of them, always the same.
pub fn lines() -> Vec<Line> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut out = Vec::new();
    for i in 0..RECORDS {
        for record in [person, contact, order, event] {
            let (key, object) = record(&mut random);
            let (text, format) = match i % 6 {
                0..=2 => (json_text(&object, &mut random), "json"),
                3..=4 => (fields(&object), "fields"),
                _ => (table(&[&object, &like(record, &object, &mut random)]), "csv"),
            };
            out.push(Line { text, key, topic: None, format: Some(format), part: "records" });
        }
    }
    for _ in 0..VALUES {
        for (format, value) in [
            ("date", iso_date as fn(&mut ChaCha8Rng) -> String),
            ("date", long_date),
            ("time", time),
            ("email", some_email),
            ("phone", phone),
            ("money", some_money),
            ("address", address),
        ] {
            let text = value(&mut random);
            out.push(Line { key: text.clone(), text, topic: None, format: Some(format), part: "values" });
        }
        for sentence in [appointment, price, call] {
            let text = sentence(&mut random);
            out.push(Line { key: text.clone(), text, topic: None, format: None, part: "values" });
        }
    }
    out
}

fn pick<'a>(list: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    list.choose(random).copied().unwrap_or_default()
}

/// First and last name, and the list of jobs in reach of both.
fn name(random: &mut ChaCha8Rng) -> (String, String) {
    (pick(&FIRST, random).into(), pick(&LAST, random).into())
}

fn email(first: &str, last: &str, random: &mut ChaCha8Rng) -> String {
    let (first, last) = (first.to_lowercase(), last.to_lowercase());
    let host = pick(&["example.com", "example.org", "mail.example.com"], random);
    match random.random_range(0..4) {
        0 => format!("{first}@{host}"),
        1 => format!("{}.{last}@{host}", &first[..1]),
        _ => format!("{first}.{last}@{host}"),
    }
}

fn person(random: &mut ChaCha8Rng) -> (String, Value) {
    let (first, last) = name(random);
    let name = format!("{first} {last}");
    let all = [
        ("name", json!(name)),
        ("age", json!(random.random_range(18..80))),
        ("city", json!(pick(&CITIES, random))),
        ("job", json!(pick(&JOBS, random))),
        ("email", json!(email(&first, &last, random))),
    ];
    (name, object(&all, &[3, 5, 4, 3], random))
}

fn contact(random: &mut ChaCha8Rng) -> (String, Value) {
    let (first, last) = name(random);
    let name = format!("{first} {last}");
    let (street, city) = (street(random), pick(&CITIES, random));
    let all = [
        ("name", json!(name)),
        ("email", json!(email(&first, &last, random))),
        ("phone", json!(phone(random))),
        ("street", json!(street)),
        ("city", json!(city)),
    ];
    (name, object(&all, &[3, 3, 5], random))
}

fn order(random: &mut ChaCha8Rng) -> (String, Value) {
    let (product, cents) = PRODUCTS[random.random_range(0..PRODUCTS.len())];
    let (quantity, number) = (random.random_range(1..=9u32), random.random_range(1000..=9999u32));
    let cents = cents + 50 * random.random_range(0..4);
    let all = [
        ("order", json!(number)),
        ("product", json!(product)),
        ("quantity", json!(quantity)),
        ("price", json!(f64::from(cents) / 100.0)),
        ("total", json!(f64::from(cents * quantity) / 100.0)),
        ("date", json!(iso_date(random))),
        ("status", json!(pick(&["open", "paid", "sent", "delivered", "cancelled"], random))),
    ];
    (format!("order {number}"), object(&all, &[3, 5, 7], random))
}

fn event(random: &mut ChaCha8Rng) -> (String, Value) {
    let title = title(random);
    let (hour, half) = (random.random_range(8..20), 15 * random.random_range(0..4));
    let end = hour + random.random_range(1..=3);
    let all = [
        ("title", json!(title)),
        ("date", json!(iso_date(random))),
        ("start", json!(format!("{hour:02}:{half:02}"))),
        ("end", json!(format!("{end:02}:{half:02}"))),
        ("place", json!(place(random))),
    ];
    let object = object(&all, &[3, 5, 4], random);
    (format!("{title} {}", all[1].1), object)
}

fn title(random: &mut ChaCha8Rng) -> String {
    format!("{} {}", pick(&EVENT_OF, random), pick(&EVENTS, random))
}

fn place(random: &mut ChaCha8Rng) -> String {
    match random.random_bool(0.4) {
        true => format!("Room {}", random.random_range(1..=20)),
        false => pick(&PLACES, random).into(),
    }
}

/// The first fields, as many as one of `sizes` says; at times one less, anywhere.
fn object(all: &[(&str, Value)], sizes: &[usize], random: &mut ChaCha8Rng) -> Value {
    let size = sizes.choose(random).copied().unwrap_or(all.len()).min(all.len());
    let without = random.random_bool(0.25).then(|| random.random_range(1..size));
    let kept = all[..size].iter().enumerate().filter(|(i, _)| Some(*i) != without);
    Value::Object(kept.map(|(_, (k, v))| (k.to_string(), v.clone())).collect())
}

/// Another record with the same fields.
fn like(make: fn(&mut ChaCha8Rng) -> (String, Value), model: &Value, random: &mut ChaCha8Rng) -> Value {
    let keys = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    loop {
        let (_, other) = make(random);
        if keys(&other) == keys(model) {
            return other;
        }
    }
}

/// Mostly as Python's `json.dumps` writes it, at times without spaces.
fn json_text(object: &Value, random: &mut ChaCha8Rng) -> String {
    if random.random_bool(0.3) { object.to_string() } else { spaced(object) }
}

/// JSON on one line, with a space after each colon and comma.
pub fn spaced(object: &Value) -> String {
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty).iter().map(|(k, v)| format!("\"{k}\": {v}"));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Number(n) if n.is_f64() => format!("{:.2}", n.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

fn fields(object: &Value) -> String {
    let lines = object.as_object().into_iter().flatten().map(|(k, v)| format!("{k}: {}", plain(v)));
    lines.collect::<Vec<_>>().join("\n")
}

fn table(objects: &[&Value]) -> String {
    let row = |o: &&Value| o.as_object().into_iter().flatten().map(|(_, v)| plain(v)).collect::<Vec<_>>().join(",");
    let header = objects.first().and_then(|o| o.as_object()).map(|o| o.keys().cloned().collect::<Vec<_>>().join(","));
    header.into_iter().chain(objects.iter().map(row)).collect::<Vec<_>>().join("\n")
}

fn day(random: &mut ChaCha8Rng) -> (u32, u32, u32) {
    let (year, month) = (random.random_range(2015..=2030), random.random_range(1..=12));
    let leap = year % 4 == 0;
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (year, month, random.random_range(1..=days))
}

fn iso_date(random: &mut ChaCha8Rng) -> String {
    let (year, month, day) = day(random);
    format!("{year}-{month:02}-{day:02}")
}

fn long_date(random: &mut ChaCha8Rng) -> String {
    let (year, month, day) = day(random);
    format!("{day} {} {year}", MONTHS[month as usize - 1])
}

fn time(random: &mut ChaCha8Rng) -> String {
    let (hour, minute, second) = (random.random_range(0..24), random.random_range(0..60), random.random_range(0..60));
    match random.random_range(0..4) {
        0 => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{:02}", minute / 5 * 5),
    }
}

fn some_email(random: &mut ChaCha8Rng) -> String {
    let (first, last) = name(random);
    email(&first, &last, random)
}

/// E.164; in the United States the numbers kept for fiction.
fn phone(random: &mut ChaCha8Rng) -> String {
    let area = [212, 312, 415, 617, 702, 808][random.random_range(0..6)];
    format!("+1{area}55501{:02}", random.random_range(0..100))
}

fn some_money(random: &mut ChaCha8Rng) -> String {
    let sign = pick(&["$", "$", "€", "£"], random);
    let whole = match random.random_range(0..4) {
        0 => random.random_range(1..10),
        1 | 2 => random.random_range(10..1000),
        _ => random.random_range(1000..100_000u32),
    };
    let cents = [0, 50, 95, 99, 25, random.random_range(0..100)][random.random_range(0..6)];
    match whole {
        0..=999 => format!("{sign}{whole}.{cents:02}"),
        _ => format!("{sign}{},{:03}.{cents:02}", whole / 1000, whole % 1000),
    }
}

fn street(random: &mut ChaCha8Rng) -> String {
    let kind = pick(&["Street", "Street", "Avenue", "Road", "Lane", "Drive", "Court"], random);
    format!("{} {} {kind}", random.random_range(1..400), pick(&STREETS, random))
}

fn address(random: &mut ChaCha8Rng) -> String {
    let street = street(random);
    let (city, state, zip) = TOWNS[random.random_range(0..TOWNS.len())];
    format!("{street}\n{city}, {state} {zip}{:02}", random.random_range(1..60))
}

fn appointment(random: &mut ChaCha8Rng) -> String {
    let (title, place, time) = (title(random), place(random), time(random));
    let title = title.to_lowercase();
    match random.random_range(0..4) {
        0 => format!("The {title} is on {}.", long_date(random)),
        1 => format!("The {title} starts at {}.", &time[..5]),
        2 => format!("The {title} is on {} at {}.", iso_date(random), &time[..5]),
        _ => format!("{place}, {}: {title}.", &time[..5]),
    }
}

fn price(random: &mut ChaCha8Rng) -> String {
    let (product, cents) = PRODUCTS[random.random_range(0..PRODUCTS.len())];
    let price = format!("${}.{:02}", cents / 100, cents % 100);
    match random.random_range(0..3) {
        0 => format!("The {product} costs {price}."),
        1 => format!("{} bought a {product} for {price}.", pick(&FIRST, random)),
        _ => format!("{} {product}s cost ${}.00.", random.random_range(2..10), cents / 100 * 4),
    }
}

fn call(random: &mut ChaCha8Rng) -> String {
    let (first, last) = name(random);
    match random.random_range(0..4) {
        0 => format!("Call {first} {last} at {}.", phone(random)),
        1 => format!("Write to {}.", email(&first, &last, random)),
        2 => format!(
            "{first} {last} is {} years old and lives in {}.",
            random.random_range(18..80),
            pick(&CITIES, random)
        ),
        _ => format!("{first} {last} works as a {} in {}.", pick(&JOBS, random), pick(&CITIES, random)),
    }
}
