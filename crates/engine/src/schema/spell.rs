//! The respelling of JSON texts, with one spelling for each number and string: plain decimal notation, shortest escapes.
//! White space and the order of keys stay as they are.

use super::number::Decimal;
use crate::util::json::DEPTH;

/// A JSON text in its usual spelling, and whether it has numbers with more digits than are ever generated.
pub(super) struct Spelt {
    pub text: String,
    pub long_numbers: bool,
}

/// The text is not JSON, from this byte on.
pub(super) fn respell(text: &str) -> Result<Spelt, usize> {
    let mut speller = Speller { text, at: 0, out: String::with_capacity(text.len()), long_numbers: false };
    speller.space();
    speller.value(0)?;
    speller.space();
    match speller.at == text.len() {
        true => Ok(Spelt { text: speller.out, long_numbers: speller.long_numbers }),
        false => Err(speller.at),
    }
}

struct Speller<'t> {
    text: &'t str,
    at: usize,
    out: String,
    long_numbers: bool,
}

impl Speller<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn copy(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn space(&mut self) {
        let space = self.rest().bytes().take_while(|b| b" \t\n\r".contains(b)).count();
        self.copy(space);
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest().as_bytes().first() == Some(&byte);
        if found {
            self.copy(1);
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), usize> {
        if self.eat(byte) { Ok(()) } else { Err(self.at) }
    }

    fn value(&mut self, depth: usize) -> Result<(), usize> {
        if depth > DEPTH {
            return Err(self.at);
        }
        match self.rest().as_bytes().first() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => self.list(b']', |this| this.value(depth + 1)),
            Some(b'{') => self.list(b'}', |this| {
                this.string()?;
                this.space();
                this.expect(b':')?;
                this.space();
                this.value(depth + 1)
            }),
            _ => match ["null", "true", "false"].iter().find(|word| self.rest().starts_with(**word)) {
                Some(word) => {
                    self.copy(word.len());
                    Ok(())
                }
                None => Err(self.at),
            },
        }
    }

    fn list(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<(), usize>) -> Result<(), usize> {
        self.copy(1);
        self.space();
        if self.eat(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            self.space();
            if self.eat(close) {
                return Ok(());
            }
            self.expect(b',')?;
            self.space();
        }
    }

    fn string(&mut self) -> Result<(), usize> {
        let bytes = self.rest().as_bytes();
        if bytes.first() != Some(&b'"') {
            return Err(self.at);
        }
        let mut end = 1;
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let raw = self.rest().get(..=end).ok_or(self.at)?;
        let decoded: String = serde_json::from_str(raw).map_err(|_| self.at)?;
        self.out.push_str(&super::network::quote(&decoded));
        self.at += end + 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), usize> {
        let numeric = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
        let end = self.rest().bytes().take_while(|b| numeric(b)).count();
        let raw = &self.rest()[..end];
        // The grammar of JSON allows fewer texts than the reader of decimals.
        if serde_json::from_str::<serde_json::Number>(raw).is_err() {
            return Err(self.at);
        }
        let number = Decimal::parse(raw).ok_or(self.at)?;
        let most = if number.is_integer() { super::number::WHOLE_DIGITS } else { super::number::DIGITS };
        self.long_numbers |= number.digits() > most;
        self.out.push_str(&number.text());
        self.at += end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::respell;

    #[test]
    fn spellings_become_one() {
        for (text, spelt) in [
            (r#" {"\u0061\/" : [1.0, 1e2 ,-0]} "#, r#" {"a/" : [1, 100 ,0]} "#),
            (r#""\u00e9\n\u001f\ud83d\ude00\"""#, "\"é\\n\\u001f😀\\\"\""),
            ("[]", "[]"),
            ("{ }", "{ }"),
            ("-12.50", "-12.5"),
        ] {
            assert_eq!(respell(text).map(|s| s.text), Ok(spelt.to_string()), "{text}");
        }
        for wrong in
            ["", "[1,]", "{1:2}", "01", "1.", "+1", "\"a", "\"\\x\"", "nul", "[1 2]", "1 2", "\"\\ud800\"", "\"\n\""]
        {
            assert!(respell(wrong).is_err(), "{wrong}");
        }
        assert!(respell(&"[".repeat(200)).is_err());
    }
}
