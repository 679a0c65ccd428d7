//! `--watch` draws the refinement on the terminal while it happens.

use super::{
    args::Speed,
    frame::{Frame, Look},
    interrupt, paint,
    terminal::{self, Terminal},
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};
use stencil_lm::{Observer, Record};

/// Draws every step of every sample on standard error.
pub struct Watch {
    terminal: Terminal,
    speed: Speed,
    /// Whether the result will appear on the same terminal, so that the picture is removed at the end.
    give_way: bool,
    samples: BTreeMap<usize, Frame>,
    /// Samples that changed since the last picture.
    news: Vec<usize>,
    /// Number of lines of the picture on the screen.
    height: usize,
    drawn: Option<Instant>,
}

impl Watch {
    pub fn new(terminal: Terminal, speed: Speed, give_way: bool) -> Self {
        let _ = terminal::hide_cursor(&mut io::stderr());
        let samples = BTreeMap::new();
        Self { terminal, speed, give_way, samples, news: Vec::new(), height: 0, drawn: None }
    }

    /// The minimum time that a picture stays on the screen.
    fn pace(&self) -> Duration {
        let steps = self.samples.values().map(|f| f.budget).max().unwrap_or(0).max(1) as u64;
        Duration::from_millis(match self.speed {
            Speed::Fast => 0,
            Speed::Normal => (5_000 / steps).clamp(60, 350),
            Speed::Slow => 900,
        })
    }

    /// Waits until the picture has been on the screen for its minimum time; Ctrl-C ends the wait.
    fn wait(&self) {
        let Some(drawn) = self.drawn else { return };
        let pace = self.pace();
        while let Some(rest) = pace.checked_sub(drawn.elapsed()).filter(|r| !r.is_zero() && !interrupt::requested()) {
            thread::sleep(rest.min(Duration::from_millis(50)));
        }
    }

    fn draw(&mut self) {
        let (width, height) = self.terminal.size();
        let lines = paint::picture(&self.samples, width, height - 1, self.terminal.color);
        self.replace(&lines);
        self.news.clear();
        self.drawn = Some(Instant::now());
    }

    /// Draws lines in place of the last picture. If the terminal fails, only the picture is lost.
    fn replace(&mut self, lines: &[String]) {
        let mut out = Vec::new();
        if self.height > 0 {
            let _ = write!(out, "\x1b[{}A", self.height);
        }
        for line in lines {
            let _ = writeln!(out, "\r\x1b[K{line}");
        }
        out.extend_from_slice(b"\x1b[J");
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(&out).and_then(|()| stderr.flush());
        self.height = lines.len();
    }
}

impl Observer for Watch {
    fn on_step(&mut self, record: &Record) -> ControlFlow<()> {
        let sample = record.sample();
        // The samples of a batch report in turn, so the second report of one sample means that a round is complete.
        if self.news.contains(&sample) {
            self.wait();
            self.draw();
        }
        self.samples.entry(sample).or_default().update(record);
        self.news.push(sample);
        ControlFlow::Continue(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.news.is_empty() && !self.samples.is_empty() {
            self.wait();
            for piece in self.samples.values_mut().filter(|f| f.verified.is_some()).flat_map(|f| &mut f.pieces) {
                piece.look = if piece.look == Look::Fixed { Look::Fixed } else { Look::Held };
            }
            self.draw();
            self.wait();
        }
        if self.give_way && self.samples.values().all(|f| f.verified.is_some()) {
            let (width, _) = self.terminal.size();
            let status = paint::status(&self.samples, width, self.terminal.color);
            self.replace(&[status]);
        }
        let _ = terminal::show_cursor(&mut io::stderr());
    }
}
