//! Renders frames as terminal lines: a pure function, which can be tested without a terminal.

use super::frame::{Frame, Look};
use anstyle::{AnsiColor, Style};
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthChar;

/// Renders all samples, stacked, and a status line: at most `height` lines of at most `width` columns.
pub fn picture(samples: &BTreeMap<usize, Frame>, width: usize, height: usize, color: bool) -> Vec<String> {
    let room = height.saturating_sub(1).max(1);
    let mut lines: Vec<String> = Vec::new();
    for (shown, (sample, frame)) in samples.iter().enumerate() {
        let label = if samples.len() > 1 { format!("{:>2} ", sample + 1) } else { String::new() };
        let text = wrapped(frame, width.saturating_sub(label.len()).max(8), color);
        // One line is reserved for the number of samples without room.
        let left = samples.len() - shown;
        let room = room.saturating_sub(lines.len() + usize::from(left > 1)).max(usize::from(shown == 0));
        if shown > 0 && text.len() > room {
            lines.push(format!("   … and {left} more"));
            break;
        }
        let skipped = text.len().saturating_sub(room);
        lines.extend(text.into_iter().skip(skipped).enumerate().map(|(i, line)| match i {
            0 => format!("{label}{line}"),
            _ => format!("{}{line}", " ".repeat(label.len())),
        }));
    }
    lines.push(status(samples, width, color));
    lines
}

/// The status line: step, log Z and open positions of all samples.
pub fn status(samples: &BTreeMap<usize, Frame>, width: usize, color: bool) -> String {
    let step = samples.values().map(|f| f.step).max().unwrap_or(0);
    let budget = samples.values().map(|f| f.budget).max().unwrap_or(0);
    let open: usize = samples.values().map(Frame::open).sum();
    let log_z: Vec<f64> = samples.values().filter_map(|f| f.log_z).collect();
    let done = samples.values().filter(|f| f.verified.is_some()).count();
    let failed = samples.values().filter(|f| f.verified == Some(false)).count();
    let mut parts = vec![match budget {
        0 => "start".to_string(),
        _ => format!("step {step}/{budget}"),
    }];
    parts.push(format!("{open} open"));
    if !log_z.is_empty() {
        // Adding 0 makes a negative zero positive.
        let mean = (log_z.iter().sum::<f64>() / log_z.len() as f64 * 100.0).round() / 100.0 + 0.0;
        parts.push(format!("log Z {mean:.2}"));
    }
    let nfe: usize = samples.values().map(|f| f.nfe).sum();
    if nfe > 0 {
        parts.push(format!("{nfe} forwards"));
    }
    if failed > 0 {
        parts.push(format!("{failed} NOT VERIFIED"));
    } else if done > 0 && done == samples.len() {
        parts.push("verified".into());
    }
    let text: String = parts.join(" · ").chars().take(width).collect();
    let style = if color { AnsiColor::Cyan.on_default() } else { Style::new().dimmed() };
    format!("{style}{text}{style:#}")
}

/// The styled text of a frame, cut into lines of `width` columns.
fn wrapped(frame: &Frame, width: usize, color: bool) -> Vec<String> {
    let mut lines = Lines::new(width, color);
    for (look, c) in characters(frame) {
        match c {
            '\n' => lines.end_line(),
            // The space in front of a new word is not highlighted.
            ' ' if look == Look::Fresh => lines.push(Look::Held, ' '),
            ' ' => lines.push(look, ' '),
            _ if look == Look::Open => lines.push(look, '░'),
            _ if look == Look::Reopened => lines.push(look, '▒'),
            '\t' => lines.push(look, ' '),
            // Control characters are replaced: a text must not send escape sequences to the terminal.
            c if c.is_control() => lines.push(look, '·'),
            c => lines.push(look, c),
        }
    }
    lines.finish()
}

/// The characters of a frame with their looks. A character whose bytes are spread over tokens has the look of the
/// first.
fn characters(frame: &Frame) -> Vec<(Look, char)> {
    let mut out = Vec::new();
    let mut pieces = frame.pieces.as_slice();
    while let Some(first) = pieces.first() {
        let stretch = pieces.iter().take_while(|p| p.look.is_gap() == first.look.is_gap()).count();
        let (run, rest) = pieces.split_at(stretch);
        pieces = rest;
        let bytes: Vec<u8> = run.iter().flat_map(|p| p.bytes.iter().copied()).collect();
        let looks: Vec<Look> = run.iter().flat_map(|p| p.bytes.iter().map(|_| p.look)).collect();
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                out.push((looks[at], c));
                at += c.len_utf8();
            }
            if !chunk.invalid().is_empty() {
                out.push((looks[at], char::REPLACEMENT_CHARACTER));
                at += chunk.invalid().len();
            }
        }
    }
    out
}

/// The lines under construction.
struct Lines {
    width: usize,
    color: bool,
    done: Vec<String>,
    line: String,
    column: usize,
    look: Option<Look>,
}

impl Lines {
    fn new(width: usize, color: bool) -> Self {
        Self { width, color, done: Vec::new(), line: String::new(), column: 0, look: None }
    }
    fn push(&mut self, look: Look, c: char) {
        let wide = c.width().unwrap_or(0);
        if self.column + wide > self.width {
            self.end_line();
        }
        if self.look != Some(look) {
            self.end_look();
            self.line += &style(look, self.color).render().to_string();
            self.look = Some(look);
        }
        self.line.push(c);
        self.column += wide;
    }
    fn end_look(&mut self) {
        if let Some(look) = self.look.take() {
            self.line += &style(look, self.color).render_reset().to_string();
        }
    }
    fn end_line(&mut self) {
        self.end_look();
        self.done.push(std::mem::take(&mut self.line));
        self.column = 0;
    }
    fn finish(mut self) -> Vec<String> {
        self.end_line();
        self.done
    }
}

/// No two looks differ by colour alone.
fn style(look: Look, color: bool) -> Style {
    let style = match look {
        Look::Fixed => Style::new().underline(),
        Look::Held => Style::new(),
        Look::Fresh => Style::new().bold().invert(),
        Look::Draft => Style::new().italic(),
        Look::Open => Style::new().dimmed(),
        Look::Reopened => Style::new().bold(),
    };
    let tint = match look {
        Look::Fixed => AnsiColor::Cyan,
        Look::Fresh => AnsiColor::Green,
        Look::Reopened => AnsiColor::Yellow,
        Look::Draft => AnsiColor::Magenta,
        Look::Held | Look::Open => return style,
    };
    if color { style.fg_color(Some(tint.into())) } else { style }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::frame::Piece;

    fn frame(pieces: &[(Look, &[u8])]) -> Frame {
        let pieces = pieces.iter().map(|&(look, bytes)| Piece { look, bytes: bytes.to_vec() }).collect();
        Frame { pieces, step: 1, budget: 4, log_z: Some(-1.5), nfe: 3, verified: None }
    }

    fn plain(line: &str) -> String {
        let mut out = String::new();
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\x1b' => chars.by_ref().take_while(|c| *c != 'm').for_each(drop),
                c => out.push(c),
            }
        }
        out
    }

    fn lines(frames: &[Frame], width: usize, height: usize) -> Vec<String> {
        let samples = frames.iter().cloned().enumerate().collect();
        picture(&samples, width, height, true).iter().map(|l| plain(l)).collect()
    }

    #[test]
    fn gaps_are_blocks_of_the_likely_width() {
        let f = frame(&[(Look::Fixed, b"The"), (Look::Open, b" cat"), (Look::Reopened, b" is"), (Look::Fresh, b"!")]);
        assert_eq!(lines(&[f], 60, 10), ["The ░░░ ▒▒!", "step 1/4 · 2 open · log Z -1.50 · 3 forwards"]);
    }

    #[test]
    fn looks_differ_without_colour() {
        let looks = [Look::Fixed, Look::Held, Look::Fresh, Look::Draft, Look::Open, Look::Reopened];
        for (i, a) in looks.iter().enumerate() {
            for b in &looks[..i] {
                assert_ne!(style(*a, false), style(*b, false), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn wraps_to_the_width_and_counts_wide_characters_twice() {
        let f = frame(&[(Look::Held, "日本語text\nx".as_bytes())]);
        assert_eq!(lines(&[f], 8, 10)[..3], ["日本語te", "xt", "x"]);
    }

    #[test]
    fn joins_characters_that_are_spread_over_tokens() {
        let f = frame(&[(Look::Held, &[0xe6, 0x97]), (Look::Fresh, &[0xa5]), (Look::Held, &[0xff])]);
        assert_eq!(lines(&[f], 8, 10)[0], "日\u{fffd}");
    }

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        let f = frame(&[(Look::Held, b"a\x1b[2Jb")]);
        assert_eq!(lines(&[f], 20, 10)[0], "a·[2Jb");
    }

    #[test]
    fn stays_within_the_screen() {
        let f = frame(&[(Look::Held, &[b'x'; 100])]);
        for n in [1, 2, 5, 40] {
            for height in [3, 5, 10] {
                let picture = lines(&vec![f.clone(); n], 20, height);
                assert!(picture.len() <= height, "{n} samples on {height} lines: {picture:#?}");
                assert!(picture.iter().all(|l| l.chars().count() <= 20), "{picture:#?}");
            }
        }
        let picture = lines(&[f.clone(), f.clone(), f], 20, 10);
        assert!(picture.iter().any(|l| l.contains("more")), "{picture:#?}");
    }
}
