//! The tokens of C and Verilog, which share most of their lexical grammar, read one at a time: a text never takes more
//! memory than it has itself. Comments, attributes and directives that change no circuit are left out.
//!
//! ```
//! use approx_netlists::lexer::{Dialect, Lexer, TokenKind};
//!
//! let mut lexer = Lexer::new("x <= 8'hFF; // done", Dialect::Verilog);
//! lexer.expect("x")?;
//! assert!(lexer.accept("<="));
//! assert_eq!(lexer.expect_kind(TokenKind::Number, "a number")?.text, "8'hFF");
//! assert_eq!(lexer.expect("+").unwrap_err().to_string(), "line 1, column 11: found \";\", expected \"+\"");
//! # Ok::<(), approx_netlists::NetlistError>(())
//! ```

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::error::{Location, NetlistError, Position};

/// The longest excerpt of a text in an error message.
const EXCERPT: usize = 40;

/// The longest name, in bytes: names are looked up far more often than they are written.
pub const MAX_NAME: usize = 1024;

/// The language of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// C.
    C,
    /// Verilog.
    Verilog,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or a keyword; of an escaped Verilog identifier what follows the backslash.
    Identifier,
    /// A number with all that belongs to it, such as `0x1Fu` or `8'hFF`.
    Number,
    /// A string literal, or in C that of a character, with its quotes.
    Text,
    /// An operator or a bracket.
    Symbol,
    /// A directive that may change what the text means.
    Directive,
    /// What no token starts with, or one that does not end.
    Invalid,
    /// The end of the text.
    End,
}

/// A token and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text; of an escaped Verilog identifier what follows the backslash.
    pub text: &'a str,
    /// The byte of the text where it starts.
    pub offset: usize,
    /// Whether it is an escaped Verilog identifier, which is a name even if it looks like a keyword.
    pub escaped: bool,
}

impl Token<'_> {
    /// Whether it is this operator, bracket or keyword.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
            && !self.escaped
            && matches!(self.kind, TokenKind::Identifier | TokenKind::Symbol)
    }

    /// How error messages say what was found.
    fn described(&self) -> String {
        match self.kind {
            TokenKind::End => "the end of the text".into(),
            TokenKind::Invalid if self.text.starts_with("/*") => "a comment without an end".into(),
            TokenKind::Invalid if self.text.starts_with("(*") => {
                "an attribute without an end".into()
            }
            TokenKind::Invalid if self.text.starts_with('"') => "a text without an end".into(),
            TokenKind::Invalid if self.text.len() > MAX_NAME => {
                format!("a name of more than {MAX_NAME} bytes")
            }
            _ => quoted(self.text),
        }
    }
}

/// A text in quotes for an error message, cut if it is long.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Operators of more than one character, the longer ones first.
const SHARED_SYMBOLS: [&str; 8] = ["&&", "||", "<<", ">>", "<=", ">=", "==", "!="];
const C_SYMBOLS: [&str; 13] = [
    "<<=", ">>=", "&=", "|=", "^=", "+=", "-=", "*=", "/=", "%=", "++", "--", "->",
];
const VERILOG_SYMBOLS: [&str; 11] = [
    "<<<", ">>>", "===", "!==", "~^", "^~", "~&", "~|", "**", "+:", "-:",
];

/// Directives of C that change nothing here: what they define is not declared for a netlist, and is an error where it
/// is used. So do the lines that a preprocessor leaves, `# 1 "file.c"`.
const IGNORED_C_DIRECTIVES: [&str; 6] = ["include", "define", "undef", "pragma", "ifndef", "endif"];

/// Directives of Verilog that change no function, with all that follows in their line.
const IGNORED_VERILOG_DIRECTIVES: [&str; 5] = [
    "timescale",
    "default_nettype",
    "celldefine",
    "endcelldefine",
    "resetall",
];

/// Reads a text token by token. A clone goes on from the same place.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    dialect: Dialect,
    /// Where the token after the current one is looked for.
    next: usize,
    token: Token<'a>,
}

impl<'a> Lexer<'a> {
    /// Starts at the first token of a text.
    pub fn new(text: &'a str, dialect: Dialect) -> Self {
        let mut lexer = Self {
            text,
            dialect,
            next: 0,
            token: Token {
                kind: TokenKind::End,
                text: "",
                offset: 0,
                escaped: false,
            },
        };
        lexer.advance();
        lexer
    }

    /// The current token.
    pub fn token(&self) -> Token<'a> {
        self.token
    }

    /// Goes to the next token and returns the one that was the current one.
    pub fn advance(&mut self) -> Token<'a> {
        let token = self.token;
        self.token = self.read();
        token
    }

    /// Goes past the current token if it is this one.
    pub fn accept(&mut self, text: &str) -> bool {
        let found = self.token.is(text);
        if found {
            self.advance();
        }
        found
    }

    /// Goes past the current token, which must be this one.
    ///
    /// # Errors
    ///
    /// [`NetlistError::Unexpected`] if it is another one.
    pub fn expect(&mut self, text: &str) -> Result<Token<'a>, NetlistError> {
        if self.token.is(text) {
            Ok(self.advance())
        } else {
            Err(self.unexpected(format!("{text:?}")))
        }
    }

    /// Goes past the current token, which must be of a kind; `expected` says what it stands for.
    ///
    /// # Errors
    ///
    /// [`NetlistError::Unexpected`] if it is of another kind.
    pub fn expect_kind(
        &mut self,
        kind: TokenKind,
        expected: &str,
    ) -> Result<Token<'a>, NetlistError> {
        if self.token.kind == kind {
            Ok(self.advance())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// The text from an offset to the current token, without the blanks before that.
    pub fn since(&self, offset: usize) -> &'a str {
        self.text[offset..self.token.offset].trim_end()
    }

    /// The error that the current token is not what should be there.
    pub fn unexpected(&self, expected: impl Into<String>) -> NetlistError {
        self.error(self.token.offset, self.token.described(), expected)
    }

    /// The error that something else should be at an offset.
    pub fn error(
        &self,
        offset: usize,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> NetlistError {
        NetlistError::Unexpected {
            location: locate(self.text, offset),
            found: found.into(),
            expected: expected.into(),
        }
    }

    fn read(&mut self) -> Token<'a> {
        if let Err(token) = self.skip_blank() {
            self.next = self.text.len();
            return token;
        }
        let offset = self.next;
        let escaped = self.dialect == Dialect::Verilog && self.text[offset..].starts_with('\\');
        let rest = &self.text[offset + usize::from(escaped)..];
        let (kind, length) = match rest.chars().next() {
            _ if escaped => {
                let length = rest
                    .find(|c: char| c.is_ascii_whitespace())
                    .unwrap_or(rest.len());
                (name_kind(1..=MAX_NAME, length), length)
            }
            None => (TokenKind::End, 0),
            Some('"') => match text_length(rest) {
                Some(length) => (TokenKind::Text, length),
                None => (TokenKind::Invalid, rest.len()),
            },
            Some('#') if self.dialect == Dialect::C => {
                (TokenKind::Directive, directive_length(rest))
            }
            Some('`') if self.dialect == Dialect::Verilog => {
                (TokenKind::Directive, 1 + word_length(&rest[1..]))
            }
            Some(c) if is_word_start(c, self.dialect) => {
                let length = word_length(rest);
                (name_kind(0..=MAX_NAME, length), length)
            }
            Some(c) if c.is_ascii_digit() || (c == '\'' && self.dialect == Dialect::Verilog) => {
                (TokenKind::Number, number_length(rest, self.dialect))
            }
            Some('\'')
                if self.dialect == Dialect::C
                    && let Some(length) = text_length(rest) =>
            {
                (TokenKind::Text, length)
            }
            Some(c) if c.is_ascii_punctuation() => (TokenKind::Symbol, self.symbol_length(rest)),
            Some(c) => (TokenKind::Invalid, c.len_utf8()),
        };
        self.next = offset + usize::from(escaped) + length;
        Token {
            kind,
            text: &rest[..length],
            offset,
            escaped,
        }
    }

    fn symbol_length(&self, rest: &str) -> usize {
        let own: &[&str] = match self.dialect {
            Dialect::C => &C_SYMBOLS,
            Dialect::Verilog => &VERILOG_SYMBOLS,
        };
        own.iter()
            .chain(&SHARED_SYMBOLS)
            .find(|symbol| rest.starts_with(**symbol))
            .map_or(1, |symbol| symbol.len())
    }

    /// Goes past white space, comments, attributes and directives without effect; an error is the token of one that
    /// does not end.
    fn skip_blank(&mut self) -> Result<(), Token<'a>> {
        loop {
            let rest = &self.text[self.next..];
            let blank = rest.len() - rest.trim_start().len();
            let verilog = self.dialect == Dialect::Verilog;
            let length = if blank > 0 {
                blank
            } else if rest.starts_with("//") {
                line_length(rest)
            } else if rest.starts_with("/*") {
                self.closed_length(rest, "*/")?
            } else if verilog && rest.starts_with("(*") && !rest.starts_with("(*)") {
                self.closed_length(rest, "*)")?
            } else if verilog
                && rest.starts_with('`')
                && IGNORED_VERILOG_DIRECTIVES.contains(&&rest[1..1 + word_length(&rest[1..])])
            {
                line_length(rest)
            } else if !verilog
                && let Some(directive) = rest.strip_prefix('#')
                && let directive = directive.trim_start_matches([' ', '\t'])
                && (IGNORED_C_DIRECTIVES.contains(&&directive[..word_length(directive)])
                    || directive.starts_with(|c: char| c.is_ascii_digit()))
            {
                directive_length(rest)
            } else {
                return Ok(());
            };
            self.next += length;
        }
    }

    /// The length of what `closing` ends.
    fn closed_length(&self, rest: &'a str, closing: &str) -> Result<usize, Token<'a>> {
        match rest[2..].find(closing) {
            Some(position) => Ok(2 + position + closing.len()),
            None => Err(Token {
                kind: TokenKind::Invalid,
                text: rest,
                offset: self.next,
                escaped: false,
            }),
        }
    }
}

/// The location of an offset in a text.
pub fn locate(text: &str, offset: usize) -> Location {
    Location {
        file: None::<PathBuf>,
        position: Some(Position::of(text, offset)),
    }
}

/// The kind of a name of so many bytes.
fn name_kind(possible: RangeInclusive<usize>, length: usize) -> TokenKind {
    match possible.contains(&length) {
        true => TokenKind::Identifier,
        false => TokenKind::Invalid,
    }
}

fn is_word_start(c: char, dialect: Dialect) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (c == '$' && dialect == Dialect::Verilog)
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(text.len())
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// The length of a line with those that backslashes at its end continue it with.
fn directive_length(text: &str) -> usize {
    let mut length = line_length(text);
    while text[..length].trim_end_matches('\r').ends_with('\\') && length < text.len() {
        length += 1 + line_length(&text[length + 1..]);
    }
    length
}

/// The length of a literal in quotes that starts a text; `None` if the line ends first.
fn text_length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next()?;
    let mut escaped = false;
    for (position, c) in characters {
        match c {
            '\n' => return None,
            c if c == quote && !escaped => return Some(position + 1),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

/// The length of a number that starts a text: in Verilog a size, a base and digits, between which there may be spaces.
fn number_length(text: &str, dialect: Dialect) -> usize {
    let size = word_length(text);
    if dialect == Dialect::C {
        return size;
    }
    let blank = |text: &str| text.len() - text.trim_start_matches([' ', '\t']).len();
    let base = size + blank(&text[size..]);
    let Some(based) = text[base..].strip_prefix('\'') else {
        return size;
    };
    let signed = usize::from(based.starts_with(['s', 'S']));
    if !based[signed..].starts_with(|c: char| "bodhBODH".contains(c)) {
        // An apostrophe that no base follows belongs to the number all the same, and makes it an invalid one.
        return base + 1;
    }
    let digits = base + 1 + signed + 1;
    let digits = digits + blank(&text[digits..]);
    let length = text[digits..]
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '?'))
        .unwrap_or(text.len() - digits);
    digits + length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str, dialect: Dialect) -> Vec<&str> {
        let mut lexer = Lexer::new(text, dialect);
        std::iter::from_fn(|| {
            let token = lexer.advance();
            (token.kind != TokenKind::End).then_some(token.text)
        })
        .collect()
    }

    #[test]
    fn brackets_in_literals_are_none() {
        assert_eq!(
            texts(r#"'{' '\'' "}\"" '"' 1'000 x"#, Dialect::C),
            ["'{'", r"'\''", r#""}\"""#, "'\"'", "1", "'", "000", "x"]
        );
    }

    #[test]
    fn c_has_its_own_operators_and_numbers() {
        assert_eq!(
            texts("x^~y<<=0x1Fu; // end\n/* and */ a->b", Dialect::C),
            ["x", "^", "~", "y", "<<=", "0x1Fu", ";", "a", "->", "b"]
        );
    }

    #[test]
    fn verilog_has_its_own_operators_and_numbers() {
        assert_eq!(
            texts(
                "(* keep *) a ~^ 8 'h F_F >>> \\n[3] + 4'sb1 'd3",
                Dialect::Verilog
            ),
            ["a", "~^", "8 'h F_F", ">>>", "n[3]", "+", "4'sb1", "'d3"]
        );
    }

    #[test]
    fn an_escaped_identifier_is_no_keyword() {
        let lexer = Lexer::new("\\wire x", Dialect::Verilog);
        assert_eq!(lexer.token().text, "wire");
        assert!(!lexer.token().is("wire"));
    }

    #[test]
    fn directives_without_effect_are_left_out() {
        assert_eq!(
            texts("# include <a.h>\n#define A \\\n 1\nint x;", Dialect::C),
            ["int", "x", ";"]
        );
        assert_eq!(
            texts("`timescale 1ns/1ps\nwire x; `WIDTH", Dialect::Verilog),
            ["wire", "x", ";", "`WIDTH"]
        );
        assert_eq!(texts("#if A\nint", Dialect::C), ["#if A", "int"]);
        assert_eq!(texts("# 1 \"a.c\" 2\nint", Dialect::C), ["int"]);
    }

    #[test]
    fn what_does_not_end_is_named() {
        for (text, dialect, found) in [
            ("a /* b", Dialect::C, "a comment without an end"),
            ("a \"b\n\"", Dialect::C, "a text without an end"),
            ("a (* b", Dialect::Verilog, "an attribute without an end"),
            (
                &format!("a {}", "n".repeat(MAX_NAME + 1)),
                Dialect::C,
                "a name of more than 1024 bytes",
            ),
            (
                &format!("a \\{}", "n".repeat(MAX_NAME + 1)),
                Dialect::Verilog,
                "a name of more than 1024 bytes",
            ),
        ] {
            let mut lexer = Lexer::new(text, dialect);
            lexer.advance();
            let error = lexer.unexpected("more").to_string();
            assert!(error.contains(found), "{error}");
            assert!(error.contains("column 3"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_to_its_end(text in ".{0,60}", verilog: bool) {
            let dialect = if verilog { Dialect::Verilog } else { Dialect::C };
            prop_assert!(texts(&text, dialect).len() <= text.len());
        }
    }
}
