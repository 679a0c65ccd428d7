//! Draws a recorded refinement as an animated SVG. Needs nothing but the trace, whose format docs/cli.md describes.
//!
//! ```sh
//! stencil fill 'The {{animal:1-2}} is a {{size|small|large}} animal.' --trace run.jsonl
//! cargo run --release --example watch_svg run.jsonl 'stencil fill …' > run.svg
//! ```

use serde_json::Value;
use std::{collections::BTreeMap, env, fmt::Write, fs};
use unicode_width::UnicodeWidthStr;

/// Columns of text, and pixels of a column, a line and the margin.
const COLUMNS: usize = 80;
const COLUMN: f64 = 8.4;
const LINE: f64 = 24.0;
const MARGIN: f64 = 20.0;
/// Seconds that a step and the finished text stay.
const STEP: f64 = 0.45;
const REST: f64 = 4.0;

/// What stands at a position and how: the text (in a gap, the likely one) and a CSS class.
struct Piece {
    text: String,
    class: &'static str,
}

/// A sample after an event.
struct Frame {
    pieces: Vec<Piece>,
    budget: u64,
    forwards: u64,
    log_z: Option<f64>,
    verified: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args().nth(1).unwrap_or("docs/watch.jsonl".into());
    let title = env::args().nth(2).unwrap_or("stencil fill … --watch".into());
    let mut samples: BTreeMap<u64, Vec<Frame>> = BTreeMap::new();
    for line in fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let sample = event["sample"].as_u64().ok_or_else(|| format!("{path}: a line that is no event"))?;
        let frames = samples.entry(sample).or_default();
        match (event["event"].as_str(), frames.last_mut()) {
            (Some("end"), Some(last)) => last.verified = event["verified"] == true,
            _ => frames.push(frame(&event)),
        }
    }
    // In the last picture nothing is news any more.
    for piece in samples.values_mut().filter_map(|frames| frames.last_mut()).flat_map(|last| &mut last.pieces) {
        piece.class = if piece.class == "fresh" { "held" } else { piece.class };
    }
    println!("{}", svg(&title, &samples.into_values().collect::<Vec<_>>())?);
    Ok(())
}

/// The canvas after an event.
fn frame(event: &Value) -> Frame {
    let empty = Vec::new();
    let list = |name: &str| event[name].as_array().unwrap_or(&empty);
    let has = |name: &str, pos: usize| list(name).iter().any(|p| p.as_u64() == Some(pos as u64));
    let piece = |(pos, cell): (usize, &Value)| {
        let text = |from: &Value| from["text"].as_str().map(String::from);
        let (text, class) = match cell["state"].as_str()? {
            "open" => {
                let likely = list("candidates").iter().find(|c| c["pos"].as_u64() == Some(pos as u64));
                let class = if has("reopened", pos) { "reopened" } else { "open" };
                (likely.map_or(Some(" ____".into()), text)?, class)
            }
            _ if has("committed", pos) => (text(cell)?, "fresh"),
            "fixed" => (text(cell)?, "fixed"),
            _ => (text(cell)?, "held"),
        };
        Some(Piece { text, class })
    };
    let number = |name: &str| event[name].as_u64().unwrap_or(0);
    Frame {
        pieces: list("cells").iter().enumerate().filter_map(piece).collect(),
        budget: number("budget"),
        forwards: number("nfe"),
        log_z: event["log_z"].as_f64(),
        verified: false,
    }
}

/// What the last line says about all samples after `step` steps.
fn status(step: usize, now: &[&Frame]) -> String {
    let gap = |p: &&Piece| matches!(p.class, "open" | "reopened");
    let open = now.iter().flat_map(|f| &f.pieces).filter(gap).count();
    let budget = now.iter().map(|f| f.budget).max().unwrap_or(0);
    let forwards: u64 = now.iter().map(|f| f.forwards).sum();
    let log_z: Vec<f64> = now.iter().filter_map(|f| f.log_z).collect();
    if log_z.is_empty() {
        return format!("start · {open} open");
    }
    // Adding zero makes a negative zero positive.
    let log_z = (log_z.iter().sum::<f64>() / log_z.len() as f64 * 100.0).round() / 100.0 + 0.0;
    let verdict = if now.iter().all(|f| f.verified) { " · verified" } else { "" };
    format!("step {step}/{budget} · {open} open · log Z {log_z:.2} · {forwards} forwards{verdict}")
}

fn svg(title: &str, samples: &[Vec<Frame>]) -> Result<String, std::fmt::Error> {
    let title: Vec<char> = format!("$ {title}").chars().collect();
    let title: Vec<String> = title.chunks(COLUMNS).map(|line| line.iter().collect()).collect();
    let mut top = MARGIN + (title.len() as f64 + 0.2) * LINE;
    let mut drawn: Vec<Vec<String>> = Vec::new();
    for frames in samples {
        let (texts, rows): (Vec<String>, Vec<usize>) = frames.iter().map(|frame| draw(frame, top)).unzip();
        drawn.push(texts);
        top += rows.into_iter().max().unwrap_or(1) as f64 * LINE;
    }
    let bottom = top + 1.2 * LINE;
    let (width, height) = (2.0 * MARGIN + COLUMNS as f64 * COLUMN, bottom + MARGIN);
    let mut out = String::new();
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" xml:space="preserve">
<style>
text {{ font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3 }}
.fixed {{ fill: #79c0ff; text-decoration: underline }} .fresh {{ fill: #0d1117; font-weight: bold }} .dim {{ fill: #8b949e }}
rect.fresh {{ fill: #56d364 }} rect.open {{ fill: #30363d }} rect.reopened {{ fill: #9e6a03 }}
</style>
<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>"##
    )?;
    for (i, line) in title.iter().enumerate() {
        let y = MARGIN + (i as f64 + 0.7) * LINE;
        writeln!(out, r#"<text class="dim" x="{MARGIN}" y="{y:.1}">{}</text>"#, escape(line))?;
    }
    let count = samples.iter().map(Vec::len).max().unwrap_or(0);
    let total = STEP * count.saturating_sub(1) as f64 + REST;
    for i in 0..count {
        // A sample that is finished waits for the others.
        let now: Vec<&Frame> = samples.iter().filter_map(|frames| frames.get(i).or(frames.last())).collect();
        let texts: String =
            drawn.iter().filter_map(|texts| texts.get(i).or(texts.last())).map(String::as_str).collect();
        let status = escape(&status(i, &now));
        let last = i + 1 == count;
        let (from, to) = (STEP * i as f64 / total, STEP * (i + 1) as f64 / total);
        // Where nothing moves, the last picture is what is seen.
        let shown = if last { 1 } else { 0 };
        let (values, times) = match (i, last) {
            (0, true) => ("1", "0".to_string()),
            (_, true) => ("0;1", format!("0;{from:.4}")),
            (0, _) => ("1;0", format!("0;{to:.4}")),
            _ => ("0;1;0", format!("0;{from:.4};{to:.4}")),
        };
        writeln!(
            out,
            r#"<g opacity="{shown}"><animate attributeName="opacity" calcMode="discrete" dur="{total:.2}s" repeatCount="indefinite" values="{values}" keyTimes="{times}"/>{texts}<text class="dim" x="{MARGIN}" y="{bottom:.1}">{status}</text></g>"#,
        )?;
    }
    out += "</svg>";
    Ok(out)
}

/// The text of a frame below `top`, and its number of lines; a piece that does not fit begins a new one.
fn draw(frame: &Frame, top: f64) -> (String, usize) {
    let (mut column, mut row) = (0, 0);
    let mut out = String::new();
    for Piece { text, class } in &frame.pieces {
        let word = text.trim_start();
        if column + text.width() > COLUMNS {
            (column, row) = (0, row + 1);
        } else {
            column += text.width() - word.width();
        }
        let (x, y) = (MARGIN + column as f64 * COLUMN, top + (row as f64 + 0.7) * LINE);
        let length = word.width() as f64 * COLUMN;
        if *class != "held" && *class != "fixed" && length > 0.0 {
            let (top, tall) = (y - 0.66 * LINE, 0.84 * LINE);
            let _ = write!(
                out,
                r#"<rect class="{class}" x="{x:.1}" y="{top:.1}" width="{length:.1}" height="{tall:.1}"/>"#
            );
        }
        if !matches!(*class, "open" | "reopened") && length > 0.0 {
            let word = escape(word);
            let _ =
                write!(out, r#"<text class="{class}" x="{x:.1}" y="{y:.1}" textLength="{length:.1}">{word}</text>"#);
        }
        column += word.width();
    }
    (out, row + 1)
}

fn escape(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
