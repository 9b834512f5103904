//! The areas of standard cells, from a library in Liberty format. Nothing else of it is looked at: groups that are no
//! cells, and attributes that are no areas, may be anything that brackets and quotes hold together.

use std::collections::BTreeMap;

use crate::error::NetlistError;
use crate::lexer::{locate, quoted};

/// The areas of a library's cells, in its own unit; usually square micrometres, for the format names none.
///
/// ```
/// use approx_netlists::CellAreas;
///
/// let text = "library (small) { cell (INV_X1) { area : 0.532; pin (A) { capacitance : 1.7; } } cell (TAP) { } }";
/// let areas = CellAreas::parse(text)?;
/// assert_eq!(areas.library(), "small");
/// assert_eq!((areas.area("INV_X1"), areas.area("TAP")), (Some(0.532), None));
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CellAreas {
    library: String,
    areas: BTreeMap<String, f64>,
}

impl CellAreas {
    /// Reads a library.
    ///
    /// # Errors
    ///
    /// [`NetlistError::Unexpected`] if the text is no library, if a bracket or a quote does not end, if there are two
    /// cells of one name, or if an area is no number of at least 0.
    pub fn parse(text: &str) -> Result<Self, NetlistError> {
        Reader { text, at: 0 }.library()
    }

    /// The name of the library.
    pub fn library(&self) -> &str {
        &self.library
    }

    /// The area of a cell, if the library has it and says it.
    pub fn area(&self, cell: &str) -> Option<f64> {
        self.areas.get(cell).copied()
    }
}

/// A word or the content of a string, or one of the characters that structure a library.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(char),
    End,
}

/// The characters that stand for themselves.
const SYMBOLS: [char; 7] = ['(', ')', '{', '}', ':', ';', ','];

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn library(mut self) -> Result<CellAreas, NetlistError> {
        self.expect(Token::Word("library"))?;
        let library = self.group()?;
        let mut areas = BTreeMap::new();
        let mut cells = BTreeMap::new();
        // The cell that is read, and how many groups are open within the library.
        let mut cell = None;
        let mut depth = 0;
        loop {
            let (token, offset) = self.next()?;
            match (token, depth) {
                (Token::End, _) => {
                    return Err(self.unexpected(offset, token, "`}`: a group does not end"));
                }
                (Token::Word("cell"), 0) => {
                    let name = self.group()?;
                    if cells.insert(name, offset).is_some() {
                        let found = Token::Word(name);
                        return Err(self.unexpected(offset, found, "a name that no cell has yet"));
                    }
                    cell = Some(name);
                    depth = 1;
                }
                (Token::Word("area"), 1) if cell.is_some() => {
                    self.expect(Token::Symbol(':'))?;
                    let (area, offset) = self.next()?;
                    let number = match area {
                        Token::Word(word) => word.parse::<f64>().ok(),
                        _ => None,
                    };
                    let number = number.filter(|area| *area >= 0.0 && area.is_finite());
                    let number = number
                        .ok_or_else(|| self.unexpected(offset, area, "a number of at least 0"))?;
                    areas.extend(cell.map(|cell: &str| (cell.to_string(), number)));
                }
                (Token::Symbol('{'), _) => depth += 1,
                (Token::Symbol('}'), 0) => {
                    return Ok(CellAreas {
                        library: library.to_string(),
                        areas,
                    });
                }
                (Token::Symbol('}'), _) => {
                    depth -= 1;
                    cell = cell.filter(|_| depth > 0);
                }
                _ => {}
            }
        }
    }

    /// The name of a group and the bracket that its content begins with.
    fn group(&mut self) -> Result<&'a str, NetlistError> {
        self.expect(Token::Symbol('('))?;
        let (name, offset) = self.next()?;
        let Token::Word(name) = name else {
            return Err(self.unexpected(offset, name, "a name"));
        };
        self.expect(Token::Symbol(')'))?;
        self.expect(Token::Symbol('{'))?;
        Ok(name)
    }

    fn expect(&mut self, expected: Token) -> Result<(), NetlistError> {
        let (token, offset) = self.next()?;
        match token == expected {
            true => Ok(()),
            false => Err(self.unexpected(offset, token, &described(expected))),
        }
    }

    /// The next token and where it is. A backslash at the end of a line joins it to the next, and is no token.
    fn next(&mut self) -> Result<(Token<'a>, usize), NetlistError> {
        loop {
            let rest = &self.text[self.at..];
            let blank = rest.len()
                - rest
                    .trim_start_matches(|c: char| c.is_whitespace() || c == '\\')
                    .len();
            self.at += blank;
            let rest = &rest[blank..];
            let skipped = if rest.starts_with("/*") {
                rest.find("*/").map(|end| end + 2)
            } else if rest.starts_with("//") {
                Some(rest.find('\n').unwrap_or(rest.len()))
            } else {
                break;
            };
            self.at += skipped.ok_or_else(|| {
                self.unexpected(self.at, Token::Word("/*"), "`*/`: a comment does not end")
            })?;
        }
        let (offset, rest) = (self.at, &self.text[self.at..]);
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, offset));
        };
        if SYMBOLS.contains(&first) {
            self.at += 1;
            return Ok((Token::Symbol(first), offset));
        }
        if let Some(string) = rest.strip_prefix('"') {
            let end = string.find('"').ok_or_else(|| {
                self.unexpected(
                    offset,
                    Token::Word("\""),
                    "another `\"`: a text does not end",
                )
            })?;
            self.at += end + 2;
            return Ok((Token::Word(&string[..end]), offset));
        }
        let is_end = |c: char| c.is_whitespace() || c == '"' || SYMBOLS.contains(&c);
        let end = rest.find(is_end).unwrap_or(rest.len());
        self.at += end;
        Ok((Token::Word(&rest[..end]), offset))
    }

    fn unexpected(&self, offset: usize, found: Token, expected: &str) -> NetlistError {
        NetlistError::Unexpected {
            location: locate(self.text, offset),
            found: described(found),
            expected: expected.to_string(),
        }
    }
}

fn described(token: Token) -> String {
    match token {
        Token::Word(word) => quoted(word),
        Token::Symbol(symbol) => quoted(&symbol.to_string()),
        Token::End => "the end of the text".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cell libraries have around areas: comments, texts with brackets, tables over several lines, areas of other
    /// things, names in quotes.
    #[test]
    fn areas_are_those_of_cells_alone() {
        let text = r#"
            /* cell (NO_X1) { area : 9; } */
            library ("real_1v0") {
              delay_model : table_lookup; // area : 7;
              wire_load ("5K") { area : 0.3; fanout_length (1, 20.5); }
              lu_table_template (t) { index_1 ("0.1, 0.2"); }
              cell ("NAND2_X1") {
                dont_use : "a } in a text";
                area : 0.798000;
                pin (ZN) { timing () { area : 5; cell_rise (t) { values ("0.1, 0.2", \
                  "0.3, 0.4"); } } }
              }
              cell (FILL) { pin (A) { area : 3; } }
              cell(INV) { area:1e-1 ; }
              memory (m) { cell (INNER) { area : 2; } }
            }"#;
        let areas = CellAreas::parse(text).unwrap();
        assert_eq!(areas.library(), "real_1v0");
        let known: Vec<(&str, f64)> = areas
            .areas
            .iter()
            .map(|(name, area)| (&**name, *area))
            .collect();
        assert_eq!(known, [("INV", 0.1), ("NAND2_X1", 0.798)]);
    }

    #[test]
    fn what_is_no_library_is_said_with_its_place() {
        for (text, words) in [
            ("", "the end of the text, expected \"library\""),
            ("module m; endmodule", "found \"module\""),
            (
                "library (l) { cell (A) { area : 1; }",
                "a group does not end",
            ),
            (
                "library (l) { cell (A) { area : -1; } }",
                "column 33: found \"-1\"",
            ),
            (
                "library (l) { cell (A) { area : inf; } }",
                "a number of at least 0",
            ),
            ("library (l) { cell (A) { area 1; } }", "expected \":\""),
            (
                "library (l) { cell (A) { } cell (A) { } }",
                "no cell has yet",
            ),
            ("library (l) { comment : \"open; }", "a text does not end"),
            ("library (l) { /* }", "a comment does not end"),
            ("library l { }", "expected \"(\""),
        ] {
            let error = CellAreas::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(library|cell|area|[(){}:;,\"/*a0. \\\\\n\u{e9}]){0,60}") {
            let _ = CellAreas::parse(&text);
            let _ = CellAreas::parse(&format!("library (l) {{ cell (c) {{ {text}"));
        }
    }
}
