//! Draws a recorded refinement as an animated SVG. Needs nothing but the trace, whose format docs/cli.md describes.
//!
//! ```sh
//! stencil fill 'The {{animal:1-2}} is a {{size|small|large}} animal.' --trace run.jsonl
//! cargo run --release --example watch_svg run.jsonl 'stencil fill …' > run.svg
//! ```

use serde_json::Value;
use std::{env, fmt::Write, fs};
use unicode_width::UnicodeWidthStr;

/// Columns of text, and pixels of a column, a line and the margin.
const COLUMNS: usize = 72;
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

struct Frame {
    pieces: Vec<Piece>,
    status: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args().nth(1).unwrap_or("docs/watch.jsonl".into());
    let title = env::args().nth(2).unwrap_or("stencil fill … --watch".into());
    let mut frames: Vec<Frame> = Vec::new();
    for line in fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?.lines() {
        let event: Value = serde_json::from_str(line)?;
        match event["event"].as_str() {
            _ if event["sample"] != 0 => {}
            Some("end") => {
                let Some(last) = frames.last_mut() else { continue };
                let verdict = if event["verified"] == true { "verified" } else { "not verified" };
                last.status = format!("{} · {verdict}", last.status);
            }
            Some(_) => frames.push(frame(&event)),
            None => return Err(format!("{path}: a line that is no event").into()),
        }
    }
    if let Some(last) = frames.last_mut() {
        last.pieces.iter_mut().filter(|p| p.class == "fresh").for_each(|p| p.class = "held");
    }
    println!("{}", svg(&title, &frames)?);
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
    let pieces: Vec<Piece> = list("cells").iter().enumerate().filter_map(piece).collect();
    let open = pieces.iter().filter(|p| matches!(p.class, "open" | "reopened")).count();
    let status = match (event["index"].as_u64(), event["budget"].as_u64(), event["log_z"].as_f64()) {
        (Some(i), Some(n), Some(z)) => {
            format!("step {}/{n} · {open} open · log Z {z:.2} · {} forwards", i + 1, event["nfe"])
        }
        _ => format!("start · {open} open"),
    };
    Frame { pieces, status }
}

fn svg(title: &str, frames: &[Frame]) -> Result<String, std::fmt::Error> {
    let title: Vec<char> = format!("$ {title}").chars().collect();
    let title: Vec<String> = title.chunks(COLUMNS).map(|line| line.iter().collect()).collect();
    let top = MARGIN + (title.len() as f64 + 0.2) * LINE;
    let drawn: Vec<(String, usize)> = frames.iter().map(|frame| draw(frame, top)).collect();
    let rows = drawn.iter().map(|(_, rows)| *rows).max().unwrap_or(1);
    let bottom = top + (rows as f64 + 1.2) * LINE;
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
        writeln!(out, r#"<text class="dim" x="{MARGIN}" y="{y}">{}</text>"#, escape(line))?;
    }
    let total = STEP * frames.len().saturating_sub(1) as f64 + REST;
    for (i, ((text, _), frame)) in drawn.iter().zip(frames).enumerate() {
        let last = i + 1 == frames.len();
        let (from, to) = (STEP * i as f64 / total, STEP * (i + 1) as f64 / total);
        // Where nothing moves, the last frame is what is seen.
        let shown = if last { 1 } else { 0 };
        let (values, times) = match (i, last) {
            (_, true) => ("0;1", format!("0;{from:.4}")),
            (0, _) => ("1;0", format!("0;{to:.4}")),
            _ => ("0;1;0", format!("0;{from:.4};{to:.4}")),
        };
        writeln!(
            out,
            r#"<g opacity="{shown}"><animate attributeName="opacity" calcMode="discrete" dur="{total:.2}s" repeatCount="indefinite" values="{values}" keyTimes="{times}"/>{text}<text class="dim" x="{MARGIN}" y="{bottom}">{status}</text></g>"#,
            status = escape(&frame.status)
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
