//! Licence expressions as crates write them: `MIT OR Apache-2.0`, `(MIT OR Apache-2.0) AND
//! Unicode-3.0`, `Apache-2.0 WITH LLVM-exception`, and the old `MIT/Apache-2.0`.
//!
//! An expression that does not parse is not accepted.

/// Whether `text` can be fulfilled with the licences in `allowed` alone.
pub fn is_accepted(text: &str, allowed: &[String]) -> bool {
    let spaced = text
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        at: 0,
        allowed,
    };
    let accepted = reader.any();
    accepted == Some(true) && reader.at == words.len()
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a [String],
}

impl Reader<'_> {
    fn next_if(&mut self, word: &str) -> bool {
        let is_it = self.words.get(self.at) == Some(&word);
        self.at += usize::from(is_it);
        is_it
    }

    fn any(&mut self) -> Option<bool> {
        let mut accepted = self.all()?;
        while self.next_if("OR") {
            accepted |= self.all()?;
        }
        Some(accepted)
    }

    fn all(&mut self) -> Option<bool> {
        let mut accepted = self.one()?;
        while self.next_if("AND") {
            accepted &= self.one()?;
        }
        Some(accepted)
    }

    fn one(&mut self) -> Option<bool> {
        if self.next_if("(") {
            let inside = self.any()?;
            return self.next_if(")").then_some(inside);
        }
        let mut name = (*self.words.get(self.at)?).to_owned();
        self.at += 1;
        if self.next_if("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.at)?);
            self.at += 1;
        }
        Some(self.allowed.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepts(text: &str, expected: bool) {
        let allowed = [
            "MIT",
            "Apache-2.0",
            "Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
        ]
        .map(str::to_owned);
        assert_eq!(is_accepted(text, &allowed), expected, "{text}");
    }

    #[test]
    fn expressions_follow_their_operators() {
        accepts("MIT", true);
        accepts("GPL-3.0", false);
        accepts("GPL-3.0 OR MIT", true);
        accepts("GPL-3.0 AND MIT", false);
        accepts("GPL-3.0/MIT", true);
        accepts("(MIT OR GPL-3.0) AND Unicode-3.0", true);
        accepts("MIT OR GPL-3.0 AND Unicode-3.0", true);
        accepts("Apache-2.0 WITH LLVM-exception", true);
        accepts("MIT WITH LLVM-exception", false);
    }

    #[test]
    fn what_does_not_parse_is_not_accepted() {
        for text in [
            "",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT MIT",
            "Apache-2.0 WITH",
            "OR MIT",
        ] {
            accepts(text, false);
        }
    }
}
