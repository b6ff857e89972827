//! Separates Rust text into code and comments without parsing it.
//!
//! Both halves keep the length and the line breaks of the original, so a position in one is a
//! position in the other. In `code` comments and the inside of string and character literals are
//! spaces: a brace or a path found there is a real one. In `comments` everything else is spaces.
//! Never fails: text that is not Rust gives useless halves, not an error.

/// The two halves of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Halves {
    /// Code; literals emptied.
    pub code: String,
    /// Comments, documentation included.
    pub comments: String,
}

/// Splits `text`.
pub fn split(text: &str) -> Halves {
    let chars: Vec<char> = text.chars().collect();
    let mut scan = Scan {
        chars: &chars,
        at: 0,
        code: String::new(),
        comments: String::new(),
    };
    while scan.at < chars.len() {
        scan.step();
    }
    Halves {
        code: scan.code,
        comments: scan.comments,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Half {
    Code,
    Comment,
    Neither,
}

struct Scan<'a> {
    chars: &'a [char],
    at: usize,
    code: String,
    comments: String,
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Moves over one character and gives it to `half`.
    fn take(&mut self, half: Half) {
        let Some(c) = self.peek(0) else { return };
        let space = if c == '\n' { '\n' } else { ' ' };
        self.code.push(if half == Half::Code { c } else { space });
        self.comments
            .push(if half == Half::Comment { c } else { space });
        self.at += 1;
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => self.line_comment(),
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(),
            (Some('\''), _) => self.quote(),
            (Some('r'), Some('"' | '#')) if self.starts_literal() => self.raw_string(),
            (Some('b' | 'c'), Some('r')) if self.starts_literal() => {
                self.take(Half::Code);
                if matches!(self.peek(1), Some('"' | '#')) {
                    self.raw_string();
                }
            }
            _ => self.take(Half::Code),
        }
    }

    /// A prefix such as `r` starts a literal only when it is not the end of a longer word.
    fn starts_literal(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|i| self.chars.get(i));
        !before.is_some_and(|c| c.is_alphanumeric() || *c == '_')
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.take(Half::Comment);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.take(Half::Comment);
                    continue;
                }
            }
            self.take(Half::Comment);
            self.take(Half::Comment);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(Half::Code);
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => {
                    self.take(Half::Neither);
                    self.take(Half::Neither);
                }
                '"' => return self.take(Half::Code),
                _ => self.take(Half::Neither),
            }
        }
    }

    /// At `r`: `r"..."`, `r#"..."#`; a raw identifier `r#type` is left alone.
    fn raw_string(&mut self) {
        let hashes = self.chars[self.at + 1..]
            .iter()
            .take_while(|c| **c == '#')
            .count();
        if self.peek(1 + hashes) != Some('"') {
            return self.take(Half::Code);
        }
        for _ in 0..hashes + 2 {
            self.take(Half::Code);
        }
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|i| self.peek(i) == Some('#'));
            if closes {
                for _ in 0..=hashes {
                    self.take(Half::Code);
                }
                return;
            }
            self.take(Half::Neither);
        }
    }

    /// At `'`: a character literal, or the mark of a lifetime.
    fn quote(&mut self) {
        self.take(Half::Code);
        if self.peek(0) == Some('\\') {
            self.take(Half::Neither);
            self.take(Half::Neither);
            while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
                self.take(Half::Neither);
            }
            self.take(Half::Code);
        } else if self.peek(1) == Some('\'') {
            self.take(Half::Neither);
            self.take(Half::Code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn code(text: &str, expected: &str) {
        assert_eq!(split(text).code, expected);
    }

    #[test]
    fn literals_are_emptied_and_comments_leave_the_code() {
        code(r#"f("{"); // }"#, r#"f(" ");     "#);
        code(r#"f("\"{");"#, r#"f("   ");"#);
        code("a /*{/*}*/{*/ b", "a             b");
        code("let c = '{';", "let c = ' ';");
        code(r"let c = '\'';", "let c = '  ';");
        code(r"let c = '\u{7b}';", "let c = '      ';");
    }

    #[test]
    fn raw_strings_end_at_their_own_mark() {
        code(r##"r#"{ " }"# }"##, r##"r#"     "# }"##);
        code(r##"br"{" }"##, r##"br" " }"##);
        code("r#type { }", "r#type { }");
        code("writer\"{\"", "writer\" \"");
    }

    #[test]
    fn lifetimes_are_not_character_literals() {
        code("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        code(
            "'outer: loop { break 'outer; }",
            "'outer: loop { break 'outer; }",
        );
    }

    #[test]
    fn both_halves_keep_lines_and_length() {
        let text = "//! é {\nfn f() { \"a\nb\" }\n/* x\n */";
        let halves = split(text);
        let shape = |s: &str| s.lines().map(|l| l.chars().count()).collect::<Vec<_>>();
        assert_eq!(shape(&halves.code), shape(text));
        assert_eq!(shape(&halves.comments), shape(text));
        assert!(halves.comments.starts_with("//! é {"));
    }

    #[test]
    fn unfinished_text_ends_quietly() {
        for text in ["\"abc", "/* abc", "'", "'\\", "r#\"abc", "r", "b", "br#"] {
            assert_eq!(
                split(text).code.chars().count(),
                text.chars().count(),
                "{text}"
            );
        }
    }
}
