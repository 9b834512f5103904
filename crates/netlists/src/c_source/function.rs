//! What a function of C or C++ takes and gives, for whoever has it compiled: the body is for a compiler to understand, and
//! so is whatever else is in the file.

use std::collections::{HashMap, HashSet};

use super::{Conditional, Head, MAIN, Parameter, head, returned, skip_body};
use crate::NetlistError;
use crate::error::Location;
use crate::lexer::{Dialect, Lexer, TokenKind, locate};
use crate::netlist::Port;
use crate::options::NetlistOptions;
use crate::reader::{Reader, choose_top};

/// A function of C or C++ by its declaration: what it takes and gives, not how.
///
/// ```
/// use approx_netlists::{CFunction, NetlistOptions};
///
/// let text = "
///     static int half(int x) { while (x > 9) x >>= 1; return x; }
///     uint16_t product(uint8_t a, uint8_t b) { return half(a) * b; }";
/// let function = CFunction::find(text, None, &NetlistOptions::default())?;
/// assert_eq!(function.name(), "product");
/// let widths: Vec<_> = function.inputs().iter().map(|port| (port.name.as_str(), port.width)).collect();
/// assert_eq!(widths, [("a", 8), ("b", 8)]);
/// assert_eq!(function.outputs()[0].width, 16);
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CFunction {
    name: String,
    location: Location,
    parameters: Vec<CParameter>,
    returns_value: bool,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

/// A parameter of a [`CFunction`].
///
/// ```
/// use approx_netlists::{CFunction, NetlistOptions};
///
/// let text = "void f(unsigned char a, unsigned char b, int *o) { *o = a * b; }";
/// let function = CFunction::find(text, None, &NetlistOptions::default())?;
/// let written: Vec<_> = function.parameters().iter().map(|one| (one.r#type.as_str(), one.is_pointer)).collect();
/// assert_eq!(written, [("unsigned char", false), ("unsigned char", false), ("int", true)]);
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CParameter {
    /// Its type as it is written, or what it points to.
    pub r#type: String,
    /// Whether it points to an integer that the function writes.
    pub is_pointer: bool,
}

impl CFunction {
    /// The function that is meant in a file: the one that the options ask for; else the only one that no other one uses,
    /// of those that are not `static` if there are any; else the only one of those whose name is preferred; else the one
    /// that is called as the file is, without its extension.
    ///
    /// Whatever else is in the file may be anything that a compiler understands.
    ///
    /// # Errors
    ///
    /// [`NetlistError::Undetermined`] if it is not known which function is meant, [`NetlistError::Unexpected`] if that does
    /// not take and give integers, or a bracket is not closed, and [`NetlistError::TooLarge`] for a text that is too long.
    pub fn find(
        text: &str,
        file_name: Option<&str>,
        options: &NetlistOptions,
    ) -> Result<Self, NetlistError> {
        Reader::new(text, options)?;
        let (functions, mut used) = defined(text)?;
        let is_free = |function: &Defined| !function.is_static && !used.contains(function.name);
        if functions.iter().any(is_free) {
            let hidden = functions.iter().filter(|function| function.is_static);
            let hidden: Vec<&str> = hidden.map(|function| function.name).collect();
            used.extend(hidden);
        }
        let names: Vec<&str> = functions.iter().map(|function| function.name).collect();
        let named = || names.iter().position(|name| Some(*name) == file_name);
        let chosen = match choose_top("function", &names, &used, options) {
            Err(error) if options.top.is_none() => named().ok_or(error)?,
            chosen => chosen?,
        };
        let head = functions.into_iter().nth(chosen).map(|chosen| chosen.head);
        let head = head.expect("it is one of them")?;
        Ok(Self::of(text, &head))
    }

    fn of(text: &str, head: &Head) -> Self {
        let of_kind = |is_pointer| {
            let parameters = head.parameters.iter();
            parameters
                .filter(move |parameter| parameter.is_pointer == is_pointer)
                .map(Parameter::port)
        };
        Self {
            name: head.name.to_owned(),
            location: locate(text, head.offset),
            parameters: head
                .parameters
                .iter()
                .map(|parameter| CParameter {
                    r#type: parameter.type_text.to_owned(),
                    is_pointer: parameter.is_pointer,
                })
                .collect(),
            returns_value: head.result.is_some(),
            inputs: of_kind(false).collect(),
            outputs: (head.result.map(returned).into_iter())
                .chain(of_kind(true))
                .collect(),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is in the text.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The parameters in their order, integers and pointers.
    pub fn parameters(&self) -> &[CParameter] {
        &self.parameters
    }

    /// Whether it returns a value, the first of its outputs.
    pub fn returns_value(&self) -> bool {
        self.returns_value
    }

    /// The parameters that are integers.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What it returns, and what it writes through pointers.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }
}

/// A function with a body. Its head is an error where it takes or gives something else than integers, which matters only
/// for the function that is meant.
struct Defined<'a> {
    name: &'a str,
    is_static: bool,
    head: Result<Head<'a>, NetlistError>,
}

/// The functions with bodies in a file but `main`, and the names of those that others call.
fn defined(text: &str) -> Result<(Vec<Defined<'_>>, HashSet<&str>), NetlistError> {
    let mut lexer = Lexer::new(text, Dialect::C);
    let mut functions: Vec<Defined> = Vec::new();
    let mut places = HashMap::new();
    let mut used = HashSet::new();
    while lexer.token().kind != TokenKind::End {
        let start = lexer.clone();
        let Some(Body {
            name,
            is_static,
            calls,
        }) = declaration(&mut lexer)?
        else {
            continue;
        };
        if name == MAIN {
            continue;
        }
        used.extend(calls.into_iter().filter(|call| *call != name));
        let head = whole_head(start);
        // A conditional has the same function twice, for one of two systems.
        let first = *places.entry(name).or_insert(functions.len());
        let is_again = functions.get(first).is_some_and(|known: &Defined| {
            let (Ok(known), Ok(head)) = (&known.head, &head) else {
                return false;
            };
            known.is_same(head)
        });
        if is_again {
            continue;
        }
        functions.push(Defined {
            name,
            is_static,
            head,
        });
    }
    Ok((functions, used))
}

impl Head<'_> {
    /// Whether another one takes and gives the same.
    fn is_same(&self, other: &Self) -> bool {
        let types = |head: &Self| -> Vec<_> {
            let parameters = head.parameters.iter();
            parameters.map(|one| (one.r#type, one.is_pointer)).collect()
        };
        self.result == other.result && types(self) == types(other)
    }
}

/// The head of a function that is known to have a body.
fn whole_head(mut lexer: Lexer<'_>) -> Result<Head<'_>, NetlistError> {
    while lexer.token().kind == TokenKind::Directive {
        lexer.advance();
    }
    let head = head(&mut lexer)?;
    lexer.accept("noexcept");
    match lexer.token().is("{") {
        true => Ok(head),
        false => Err(lexer.unexpected("the body of a function")),
    }
}

/// What is seen of a function without understanding it.
struct Body<'a> {
    name: &'a str,
    is_static: bool,
    calls: HashSet<&'a str>,
}

/// Goes past a declaration at the level of the file, whatever it declares; the function, if it is one with a body.
fn declaration<'a>(lexer: &mut Lexer<'a>) -> Result<Option<Body<'a>>, NetlistError> {
    let is_namespace = lexer.token().is("namespace");
    let mut is_static = false;
    let mut name = None;
    let mut open = 0usize;
    let mut last = lexer.token();
    loop {
        let token = lexer.token();
        match token.text {
            _ if token.kind == TokenKind::End => return Ok(None),
            _ if token.kind == TokenKind::Invalid => {
                return Err(lexer.unexpected("a declaration"));
            }
            // The block of `extern "C"` is no other level.
            "{" if last.kind == TokenKind::Text => {
                lexer.advance();
                return Ok(None);
            }
            "{" if open == 0 => {
                let calls = skip_body(lexer, Conditional::Allowed)?;
                let is_body = last.is(")") || last.is("noexcept");
                if let Some(name) = name.filter(|_| is_body) {
                    return Ok(Some(Body {
                        name,
                        is_static,
                        calls,
                    }));
                }
                if is_namespace {
                    return Ok(None);
                }
                last = token;
                continue;
            }
            "(" => {
                if open == 0 && name.is_none() && last.kind == TokenKind::Identifier {
                    name = Some(last.text);
                }
                open += 1;
            }
            ")" => open = open.saturating_sub(1),
            "static" => is_static |= open == 0,
            ";" | "}" if open == 0 => {
                lexer.advance();
                return Ok(None);
            }
            _ => {}
        }
        last = token;
        lexer.advance();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn find(text: &str, file_name: Option<&str>) -> Result<CFunction, NetlistError> {
        let options = NetlistOptions {
            preferred_top: Some(|name| name.starts_with("mul")),
            ..NetlistOptions::default()
        };
        CFunction::find(text, file_name, &options)
    }

    /// Whatever else a compiler understands.
    const AROUND: &str = "
        #include <stdint.h>
        #if defined(_WIN32)
        #error no
        #endif
        typedef struct { int x; } pair; enum { A, B };
        static const uint8_t table[2][2] = {{1, 2}, {3, 4}}; float scale = 0.5; char c = '{';
        pair both(pair p, float f) { p.x = \"}\"[0]; return p; }
        #define TWICE(x) { (x) * 2 }
        namespace other { int f(int a) { return a; } }
        template <typename T> T same(T x) { return x; }
        extern \"C\" { int declared(int a, int b); }
        static __attribute__((unused)) int odd(int x) { return x & 1; }
        int main(void) { return f(1, 2); }
        ";

    #[rstest]
    #[case("uint16_t f(uint8_t a, uint8_t b) { for (;;) { if (a) break; } return a * b; }", "f", [8, 8], 16)]
    #[case("static inline int g(int x) { return x; } extern int f(int8_t a, short b) { return g(a) * b; }", "f", [8, 16], 32)]
    #[case("void f(bool a, const unsigned b, int64_t *o) noexcept { *o = a * b; }", "f", [1, 32], 64)]
    #[case("int f(int a, int b) {\n#ifdef X\nreturn a;\n#else\nreturn b;\n#endif\n}", "f", [32, 32], 32)]
    #[case("std::uint16_t f(std::uint8_t a, std::uint8_t b) { return a * b; }", "f", [8, 8], 16)]
    #[case("int mul8(int8_t a, int8_t b) { return a; } int other(int a, int b) { return a; }", "mul8", [8, 8], 32)]
    #[case("int f(int a, int b) { return a; }\n#ifdef X\nint f(int a, int b) { return b; }\n#endif", "f", [32, 32], 32)]
    fn functions_are_found_among_whatever_else_there_is(
        #[case] function: &str,
        #[case] name: &str,
        #[case] inputs: [usize; 2],
        #[case] output: usize,
    ) {
        for text in [function.to_owned(), format!("{function}\n{HIDDEN}")] {
            let found = find(&text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(found.name(), name);
            let widths = |ports: &[Port]| ports.iter().map(|port| port.width).collect::<Vec<_>>();
            assert_eq!(widths(found.inputs()), inputs);
            assert_eq!(widths(found.outputs()), [output]);
        }
        // In a larger file it is asked for.
        let options = NetlistOptions {
            top: Some(name.into()),
            ..NetlistOptions::default()
        };
        let found = CFunction::find(&format!("{AROUND}{function}"), None, &options).unwrap();
        assert_eq!((found.name(), found.inputs().len()), (name, 2));
        assert_eq!(
            found.location().position.map(|place| place.line > 10),
            Some(true)
        );
    }

    /// A function that others cannot call is not the one that is meant.
    const HIDDEN: &str = "static __attribute__((unused)) float hidden(int a, int b) { return a; }";

    #[test]
    fn the_name_of_the_file_decides_at_last() {
        let text = "int one(int a, int b) { return a; } int two(int a, int b) { return b; }";
        let error = find(text, Some("three")).unwrap_err().to_string();
        assert!(error.contains("\"one\", \"two\""), "{error}");
        assert_eq!(find(text, Some("two")).unwrap().name(), "two");
    }

    #[rstest]
    #[case("float f(float a, float b) { return a; }", "\"float\"")]
    #[case("int f(int a[2], int b) { return b; }", "cannot be arrays")]
    #[case("typedef int word; word f(word a, word b) { return a; }", "\"word\"")]
    #[case("", "at least one function")]
    #[case("int f(int a, int b);", "at least one function")]
    #[case("int f(int a, int b) { return a;", "the end of the text")]
    #[case("/* int f", "a comment without an end")]
    fn what_takes_no_integers_is_refused(#[case] text: &str, #[case] expected: &str) {
        let error = find(text, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    const WORDS: [&str; 24] = [
        "int",
        "f",
        "g",
        "(",
        ")",
        "{",
        "}",
        ";",
        ",",
        "*",
        "a",
        "static",
        "extern",
        "\"C\"",
        "namespace",
        "noexcept",
        "=",
        "#if x\n",
        "'",
        "\"",
        "/*",
        "std",
        ":",
        "uint8_t a",
    ];

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[ -~\n\u{e9}]{0,200}", words in prop::collection::vec(prop::sample::select(WORDS.as_slice()), 0..60)) {
            let _ = find(&text, Some("f"));
            let _ = find(&words.join(" "), None);
        }
    }
}
