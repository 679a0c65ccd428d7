//! One error type: what went wrong, where, and what would help.

use std::{borrow::Cow, error::Error as StdError, fmt, io::Read, ops::Range, path::Path, sync::Arc};

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The user's input is wrong: a flag, a template, a constraint file.
    Input,
    /// The constraints contradict each other or do not fit the positions there are.
    Unsatisfiable,
    /// A constraint needs more states, memory or time than the limits allow.
    TooLarge,
    /// A feature that cannot be kept exactly, refused by name.
    Unsupported,
    /// A checkpoint or tokenizer that is missing, truncated or does not fit.
    Model,
    /// Reading or writing failed.
    Io,
    /// Stopped by the user or by an observer.
    Interrupted,
}

/// A text that a user wrote, with its name in diagnostics.
#[derive(Debug, Clone)]
pub struct Source {
    /// A path, or the way in which the text was given: `template`, `<stdin>`.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl Source {
    /// A text with its name.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Reads a text file.
    ///
    /// # Errors
    /// A file that is missing, unreadable, larger than 64 MiB or not UTF-8.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        const MAX_BYTES: u64 = 64 << 20;
        let path = path.as_ref();
        let fail = |e: std::io::Error| Error::io(format!("cannot read {}: {e}", path.display()));
        let mut bytes = Vec::new();
        std::fs::File::open(path).and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(fail)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::too_large(format!("{} is larger than {MAX_BYTES} bytes", path.display())));
        }
        Self::from_bytes(path.display().to_string(), bytes)
    }

    /// A text given as bytes; a byte-order mark at its start is dropped.
    ///
    /// # Errors
    /// Bytes that are not UTF-8.
    pub fn from_bytes(name: impl Into<Arc<str>>, bytes: Vec<u8>) -> Result<Self> {
        let name = name.into();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text.strip_prefix('\u{feff}').unwrap_or(&text))),
            Err(e) => {
                let valid = e.utf8_error().valid_up_to();
                let line = e.as_bytes()[..valid].iter().filter(|&&b| b == b'\n').count() + 1;
                Err(Error::input(format!("{name} is not UTF-8: line {line} (byte {valid}) cannot be read"))
                    .help("save the file as UTF-8 text; is it the right file?"))
            }
        }
    }

    /// One-based line and column (in characters) of a byte offset.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = floor_char(&self.text, offset);
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

fn floor_char(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// An error with its place and a way out.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    span: Option<Range<usize>>,
    source_text: Option<Source>,
    pointer: Option<String>,
    help: Vec<String>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error without a place; a message starts with a small letter and ends without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            span: None,
            source_text: None,
            pointer: None,
            help: Vec::new(),
            cause: None,
        }))
    }
    /// An error of kind [`Input`](ErrorKind::Input).
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }
    /// An error of kind [`Unsatisfiable`](ErrorKind::Unsatisfiable).
    pub fn unsatisfiable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsatisfiable, message)
    }
    /// An error of kind [`TooLarge`](ErrorKind::TooLarge).
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }
    /// An error of kind [`Unsupported`](ErrorKind::Unsupported).
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }
    /// An error of kind [`Model`](ErrorKind::Model).
    pub fn model(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Model, message)
    }
    /// An error of kind [`Io`](ErrorKind::Io).
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Io, message)
    }
    /// An error of kind [`Interrupted`](ErrorKind::Interrupted).
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Interrupted, message)
    }

    /// Adds a sentence that says what would help.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self
    }
    /// Byte range inside the text being read; keeps the innermost one already there.
    pub fn at(mut self, span: Range<usize>) -> Self {
        if self.0.source_text.is_none() {
            self.0.span.get_or_insert(span);
        }
        self
    }
    /// The text that the span speaks of; keeps the innermost one already there.
    pub fn in_source(mut self, source: &Source) -> Self {
        self.0.source_text.get_or_insert_with(|| source.clone());
        self
    }
    /// Moves the span of an error found inside a part of a larger text to where that part starts.
    pub fn shifted(mut self, by: usize) -> Self {
        if let (Some(span), None) = (&mut self.0.span, &self.0.source_text) {
            *span = span.start + by..span.end + by;
        }
        self
    }
    /// Replaces the span: for texts whose escapes make inner offsets meaningless.
    pub fn replace_span(mut self, span: Range<usize>) -> Self {
        if self.0.source_text.is_none() {
            self.0.span = Some(span);
        }
        self
    }
    /// JSON Pointer into a JSON constraint or schema; keeps the innermost one already there.
    pub fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer.get_or_insert(pointer.into());
        self
    }
    /// Puts a key or an index before the JSON Pointer, on the way out of a nested value.
    pub fn under(mut self, segment: impl fmt::Display) -> Self {
        let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
        self.0.pointer = Some(format!("/{segment}{}", self.0.pointer.unwrap_or_default()));
        self
    }
    /// The error beneath; keeps the first one already there.
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause.get_or_insert_with(|| Arc::from(cause.into()));
        self
    }
    /// Puts words before the message: `context: message`.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    /// What went wrong, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// Sentences that say what would help.
    pub fn helps(&self) -> &[String] {
        &self.0.help
    }
    /// Byte range inside [`source_text`](Self::source_text).
    pub fn span(&self) -> Option<Range<usize>> {
        self.0.span.clone()
    }
    /// The text that the span speaks of.
    pub fn source_text(&self) -> Option<&Source> {
        self.0.source_text.as_ref()
    }
    /// Where in a JSON or TOML document.
    pub fn json_pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }
    /// Whether no text can satisfy what was asked.
    pub fn is_unsatisfiable(&self) -> bool {
        self.kind() == ErrorKind::Unsatisfiable
    }
    /// Whether a limit was exceeded.
    pub fn is_too_large(&self) -> bool {
        self.kind() == ErrorKind::TooLarge
    }
    /// Whether it was stopped on purpose.
    pub fn is_interrupted(&self) -> bool {
        self.kind() == ErrorKind::Interrupted
    }

    /// The whole diagnostic in several lines: message, place with a caret, cause, ways out. Ends without a newline.
    pub fn report(&self) -> String {
        // A damaged file can hold megabytes of anything where a number should be.
        let message = match self.0.kind {
            ErrorKind::Model | ErrorKind::Unsupported => clipped(&self.0.message),
            _ => Cow::Borrowed(&*self.0.message),
        };
        let mut out = message.into_owned();
        match (&self.0.source_text, &self.0.span) {
            (Some(source), Some(span)) => out += &excerpt(source, span),
            (Some(source), None) => out += &format!("\n  --> {}", source.name),
            _ => {}
        }
        if let Some(pointer) = self.0.pointer.as_deref().filter(|p| !p.is_empty()) {
            out += &format!("\n  at {pointer}");
        }
        if let Some(cause) = &self.0.cause {
            out += &format!("\n  cause: {}", clipped(without_backtrace(&cause.to_string())));
        }
        for help in &self.0.help {
            out += &format!("\n  help: {help}");
        }
        out
    }
}

/// A text without its middle, where it is too long to be read.
fn clipped(text: &str) -> Cow<'_, str> {
    const SHOWN: usize = 800;
    if text.len() <= 2 * SHOWN {
        return Cow::Borrowed(text);
    }
    let (start, end) = (floor_char(text, SHOWN), floor_char(text, text.len() - SHOWN));
    Cow::Owned(format!("{} … {}", &text[..start], &text[end..]))
}

/// The message of a cause without the backtrace that some libraries print after it, which tells a user nothing.
fn without_backtrace(cause: &str) -> &str {
    cause.find("\n   0: ").map_or(cause, |start| &cause[..start]).trim_end()
}

/// `file:line:column`, the line, and carets under the span. Long lines are cut around the span.
fn excerpt(source: &Source, span: &Range<usize>) -> String {
    const WIDTH: usize = 100;
    let text = &source.text;
    let start = floor_char(text, span.start);
    let end = floor_char(text, span.end.max(start)).max(start);
    let (line, column) = source.line_column(start);
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    let shown_start = if start - line_start > WIDTH / 2 { floor_char(text, start - WIDTH / 2) } else { line_start };
    let shown_end = floor_char(text, line_end.min(shown_start + WIDTH));
    let clean = |s: &str| s.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let shown = clean(&text[shown_start..shown_end.max(start)]);
    let pad = " ".repeat(text[shown_start..start].chars().count());
    let carets = "^".repeat(text[start..end.min(shown_end).max(start)].chars().count().max(1));
    let gutter = line.to_string();
    let blank = " ".repeat(gutter.len());
    format!("\n{blank} --> {}:{line}:{column}\n{blank} |\n{gutter} | {shown}\n{blank} | {pad}{carets}", source.name)
}

/// The place and the message in one line. The alternate form `{:#}` adds the cause.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(source), Some(span)) = (&self.0.source_text, &self.0.span) {
            let (line, column) = source.line_column(span.start);
            write!(f, "{}:{line}:{column}: ", source.name)?;
        }
        f.write_str(&self.0.message)?;
        // `source` hands out the cause, and callers that print the chain of sources would print the cause twice.
        if let Some(cause) = self.0.cause.as_ref().filter(|_| f.alternate()) {
            write!(f, ": {}", without_backtrace(&cause.to_string()))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|e| e as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self::io(e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As anyhow and others print an error: its `Display`, then that of each source.
    fn chain(error: &dyn StdError) -> String {
        match error.source() {
            Some(source) => format!("{error} | {}", chain(source)),
            None => error.to_string(),
        }
    }

    #[test]
    fn the_cause_is_printed_once() {
        let text = Source::new("a.txt", "x\ny");
        let error = Error::io("cannot write").because(std::io::Error::other("disk full")).at(2..3).in_source(&text);
        assert_eq!(chain(&error), "a.txt:2:1: cannot write | disk full");
        assert_eq!(format!("{error:#}"), "a.txt:2:1: cannot write: disk full");
        let outer = Error::model("cannot start").because(error);
        assert_eq!(chain(&outer), "cannot start | a.txt:2:1: cannot write | disk full");
    }

    #[test]
    fn a_report_has_the_place_the_cause_and_the_ways_out() {
        let text = Source::new("a.txt", "x\nyes");
        let error = Error::io("cannot read").because(std::io::Error::other("gone")).at(2..4).help("look again");
        let report = error.under("b").in_source(&text).report();
        assert_eq!(
            report,
            "cannot read\n  --> a.txt:2:1\n  |\n2 | yes\n  | ^^\n  at /b\n  cause: gone\n  help: look again"
        );
    }
}
