//! The terminal on standard error: its size, and two cursor commands.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// A terminal on standard error.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Whether colours may be used; other attributes (bold, underlined, reversed) always may.
    pub color: bool,
}

impl Terminal {
    /// The terminal of standard error, if it supports drawing.
    pub fn stderr() -> Option<Self> {
        let dumb = env::var_os("TERM").is_some_and(|t| t == "dumb");
        let no_color = env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        (io::stderr().is_terminal() && !dumb).then_some(Self { color: !no_color })
    }

    /// The current numbers of columns and rows.
    pub fn size(self) -> (usize, usize) {
        match terminal_size::terminal_size_of(io::stderr()) {
            Some((width, height)) => ((width.0 as usize).max(20), (height.0 as usize).max(4)),
            None => (80, 24),
        }
    }
}

pub fn hide_cursor(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"\x1b[?25l")?;
    out.flush()
}

pub fn show_cursor(out: &mut impl Write) -> io::Result<()> {
    if io::stderr().is_terminal() {
        out.write_all(b"\x1b[?25h")?;
        out.flush()?;
    }
    Ok(())
}
