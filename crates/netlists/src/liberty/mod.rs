//! Libraries of standard cells in Liberty format: their areas and functions. Nothing else of one is looked at: groups that
//! are no cells or pins, and attributes that are none of these, may be anything that brackets and quotes hold together.

mod function;

use std::collections::BTreeMap;
use std::fmt::Write;

use self::function::{identifier, in_verilog};
use crate::error::NetlistError;
use crate::lexer::{locate, quoted};

/// A library of standard cells: the areas of cells in its own unit, usually square micrometres, for the format names
/// none; and the functions of those without a state.
///
/// ```
/// use approx_netlists::{CellLibrary, Netlist, NetlistFormat, NetlistOptions};
///
/// let text = "library (small) { cell (MINE) { area : 0.5;
///     pin (A) { direction : input; } pin (B) { direction : input; } pin (Y) { direction : output; function : \"A B'\"; } } }";
/// let library = CellLibrary::parse(text)?;
/// assert_eq!((library.name(), library.area("MINE"), library.area("YOURS")), ("small", Some(0.5), None));
/// let options = NetlistOptions { cells: Some(library), ..NetlistOptions::default() };
/// let text = "module m(input a, b, output o); MINE u(.A(a), .B(b), .Y(o)); endmodule";
/// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &options)?;
/// assert_eq!([0, 1, 2, 3].map(|inputs| netlist.circuit().evaluate(inputs).unwrap()), [0, 1, 0, 0]);
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CellLibrary {
    name: String,
    areas: BTreeMap<String, f64>,
    modules: String,
    text: String,
}

impl CellLibrary {
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
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The area of a cell, if the library has it and says it.
    pub fn area(&self, cell: &str) -> Option<f64> {
        self.areas.get(cell).copied()
    }

    /// The text that it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cells whose function is known, as modules in Verilog.
    pub(crate) fn modules(&self) -> &str {
        &self.modules
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

/// A group that is open, and what is known of it.
enum Group<'a> {
    Cell(Cell<'a>),
    Pin(Pin<'a>),
    Other,
}

struct Cell<'a> {
    name: &'a str,
    pins: Vec<Pin<'a>>,
    has_state: bool,
}

#[derive(Default)]
struct Pin<'a> {
    name: &'a str,
    direction: &'a str,
    function: Option<&'a str>,
}

/// The groups of cells that have a state.
const STATES: [&str; 5] = ["ff", "ff_bank", "latch", "latch_bank", "statetable"];

impl Cell<'_> {
    /// The cell as a module in Verilog, if it has no state and all of its outputs are functions of its inputs.
    fn module(&self) -> Option<String> {
        let of = |direction| {
            self.pins
                .iter()
                .filter(move |pin| pin.direction == direction)
        };
        let inputs: Vec<&str> = of("input").map(|pin| pin.name).collect();
        let is_known = !self.has_state && inputs.len() + of("output").count() == self.pins.len();
        let mut outputs = Vec::new();
        for output in of("output") {
            outputs.push((
                identifier(output.name)?,
                in_verilog(output.function?, &inputs)?,
            ));
        }
        let mut ports = Vec::new();
        for input in inputs {
            ports.push(format!("input {}", identifier(input)?));
        }
        ports.extend(outputs.iter().map(|(name, _)| format!("output {name}")));
        let mut module = format!("module {}({});", identifier(self.name)?, ports.join(", "));
        for (name, function) in outputs {
            write!(module, " assign {name}= {function};").expect("texts take whatever is written");
        }
        module.push_str(" endmodule\n");
        // A library that says areas alone leaves functions to whoever knows the cells.
        (is_known && of("output").count() > 0).then_some(module)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn library(mut self) -> Result<CellLibrary, NetlistError> {
        self.expect(Token::Word("library"))?;
        let (name, _) = self.names()?;
        self.expect(Token::Symbol('{'))?;
        let mut library = CellLibrary {
            name: name.unwrap_or_default().to_string(),
            areas: BTreeMap::new(),
            modules: String::new(),
            text: self.text.to_string(),
        };
        let mut cells = BTreeMap::new();
        let mut open: Vec<Group> = Vec::new();
        loop {
            let (token, offset) = self.next()?;
            match token {
                Token::End => {
                    return Err(self.unexpected(offset, token, "`}`: a group does not end"));
                }
                Token::Symbol('}') => match (open.pop(), open.last_mut()) {
                    (None, _) => return Ok(library),
                    (Some(Group::Pin(pin)), Some(Group::Cell(cell))) => cell.pins.push(pin),
                    (Some(Group::Cell(cell)), _) => library.modules.extend(cell.module()),
                    _ => {}
                },
                Token::Symbol('{') => open.push(Group::Other),
                Token::Word(word) => match self.peek()? {
                    Token::Symbol('(') => {
                        let (name, place) = self.names()?;
                        if self.peek()? != Token::Symbol('{') {
                            continue;
                        }
                        self.next()?;
                        let name = name.unwrap_or_default();
                        let group = match (word, open.last_mut()) {
                            ("cell", None) => {
                                if cells.insert(name, place).is_some() {
                                    let expected = "a name that no cell has yet";
                                    return Err(self.unexpected(
                                        place,
                                        Token::Word(name),
                                        expected,
                                    ));
                                }
                                Group::Cell(Cell {
                                    name,
                                    pins: Vec::new(),
                                    has_state: false,
                                })
                            }
                            ("pin", Some(Group::Cell(_))) => Group::Pin(Pin {
                                name,
                                ..Pin::default()
                            }),
                            (_, Some(Group::Cell(cell))) => {
                                // Pins within a bus or a bundle are not looked at.
                                cell.has_state |=
                                    STATES.contains(&word) || matches!(word, "bus" | "bundle");
                                Group::Other
                            }
                            _ => Group::Other,
                        };
                        open.push(group);
                    }
                    Token::Symbol(':') => {
                        self.next()?;
                        match (word, open.last_mut()) {
                            ("area", Some(Group::Cell(cell))) => {
                                let area = self.area()?;
                                library.areas.insert(cell.name.to_string(), area);
                            }
                            ("direction", Some(Group::Pin(pin))) => {
                                pin.direction = self.word()?;
                            }
                            ("function", Some(Group::Pin(pin))) => {
                                pin.function = Some(self.word()?);
                            }
                            _ => {}
                        }
                    }
                    _ => {}
                },
                Token::Symbol(_) => {}
            }
        }
    }

    fn area(&mut self) -> Result<f64, NetlistError> {
        let (area, offset) = self.next()?;
        let number = match area {
            Token::Word(word) => word.parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|area| *area >= 0.0 && area.is_finite());
        number.ok_or_else(|| self.unexpected(offset, area, "a number of at least 0"))
    }

    fn word(&mut self) -> Result<&'a str, NetlistError> {
        match self.next()? {
            (Token::Word(word), _) => Ok(word),
            (token, offset) => Err(self.unexpected(offset, token, "a value")),
        }
    }

    /// The first of the words in brackets, and where it is.
    fn names(&mut self) -> Result<(Option<&'a str>, usize), NetlistError> {
        self.expect(Token::Symbol('('))?;
        let mut first = None;
        let mut place = self.at;
        loop {
            match self.next()? {
                (Token::Symbol(')'), _) => return Ok((first, place)),
                (Token::Word(word), offset) if first.is_none() => {
                    (first, place) = (Some(word), offset);
                }
                (Token::Word(_) | Token::Symbol(',' | ':'), _) => {}
                (token, offset) => return Err(self.unexpected(offset, token, "`)`")),
            }
        }
    }

    /// The next token, which stays the next one.
    fn peek(&mut self) -> Result<Token<'a>, NetlistError> {
        let at = self.at;
        let (token, _) = self.next()?;
        self.at = at;
        Ok(token)
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
        let areas = CellLibrary::parse(text).unwrap();
        assert_eq!(areas.name(), "real_1v0");
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
            (
                "library (l) { cell (A) { } cell (A) { } }",
                "no cell has yet",
            ),
            ("library (l) { comment : \"open; }", "a text does not end"),
            ("library (l) { /* }", "a comment does not end"),
            ("library l { }", "expected \"(\""),
        ] {
            let error = CellLibrary::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    /// Only cells whose outputs all are functions of their inputs are circuits.
    #[test]
    fn cells_with_a_state_or_without_a_function_are_no_modules() {
        let cell = |name: &str, content: &str| {
            format!("cell ({name}) {{ pin (A) {{ direction : input; }} {content} }}")
        };
        let output = |function: &str| format!("pin (Y) {{ direction : \"output\" {function} }}");
        let text = [
            cell("GOOD", &output("; function : \"A'\";")),
            cell("NEXT", &output("function : \"(!A)\"")),
            cell(
                "STATE",
                &format!(
                    "ff (IQ, IQN) {{ clocked_on : \"A\"; }} {}",
                    output("; function : \"A\";")
                ),
            ),
            cell("OPEN", &output("; function : \"IQ\";")),
            cell("NONE", &output(";")),
            cell("BOTH", "pin (Y) { direction : inout; function : \"A\"; }"),
            cell(
                "BUS",
                &format!(
                    "bus (D) {{ bus_type : t; }} {}",
                    output("; function : \"A\";")
                ),
            ),
        ];
        let library =
            CellLibrary::parse(&format!("library (l) {{ {} }}", text.join("\n"))).unwrap();
        let names = library
            .modules()
            .lines()
            .map(|line| line.split_whitespace().nth(1).unwrap());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["\\GOOD", "\\NEXT"],
            "{}",
            library.modules()
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(library|cell|area|[(){}:;,\"/*a0. \\\\\n\u{e9}]){0,60}") {
            let _ = CellLibrary::parse(&text);
            let _ = CellLibrary::parse(&format!("library (l) {{ cell (c) {{ {text}"));
        }
    }
}
