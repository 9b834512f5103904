//! C functions without branches and loops, such as those of EvoApproxLib: temporaries, bit operators, shifts
//! and integer arithmetic, helper functions, and a result that is returned or written through a pointer.
//!
//! A function is run once, with signals for the bits of its variables. What remains is the circuit behind it. Of a
//! function that only a compiler understands, [`CFunction`] is what it takes and gives.

mod function;
mod interpreter;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

pub use self::function::{CFunction, CParameter};
use self::interpreter::{Argument, Interpreter, Value, not_run};
use self::types::Type;
use crate::NetlistError;
use crate::circuit::graph::Declaration;
use crate::lexer::{Dialect, Lexer, TokenKind, quoted};
use crate::netlist::{Netlist, Port};
use crate::options::NetlistOptions;
use crate::reader::{Reader, choose_top};

/// What is written before the body of a function.
struct Head<'a> {
    name: &'a str,
    offset: usize,
    /// `None` for void.
    result: Option<Type>,
    parameters: Vec<Parameter<'a>>,
}

/// A function, the body of which is read when it is run.
struct Function<'a> {
    head: Head<'a>,
    /// At the opening brace.
    body: Lexer<'a>,
    /// The length of the body's text.
    bytes: usize,
}

struct Parameter<'a> {
    name: &'a str,
    offset: usize,
    /// That of what it points to, if it is a pointer.
    r#type: Type,
    /// The type as it is written.
    type_text: &'a str,
    is_pointer: bool,
}

/// Reads the function that the options ask for, or that no other one calls.
pub(crate) fn parse(text: &str, options: &NetlistOptions) -> Result<Netlist, NetlistError> {
    let reader = Reader::new(text, options)?;
    let mut called = HashSet::new();
    let functions = functions(&mut Lexer::new(text, Dialect::C), &mut called)?;
    let names: Vec<&str> = functions
        .iter()
        .map(|function| function.head.name)
        .collect();
    let top = &functions[choose_top("function", &names, &called, options)?];
    let by_name: HashMap<&str, &Function> = functions
        .iter()
        .map(|function| (function.head.name, function))
        .collect();
    let mut interpreter = Interpreter::new(reader, by_name);
    let mut inputs = Vec::new();
    let mut arguments = Vec::new();
    for parameter in &top.head.parameters {
        arguments.push(if parameter.is_pointer {
            Argument::Output(parameter.r#type)
        } else {
            inputs.push(parameter.port());
            let declaration = Declaration {
                name: parameter.name,
                offset: parameter.offset,
                index: None,
            };
            let width = parameter.r#type.width();
            Argument::Value(Value {
                bits: interpreter.graph.inputs(width, declaration),
                r#type: parameter.r#type,
            })
        });
    }
    let (result, written) = interpreter.run(top, arguments)?;
    let mut outputs = Vec::new();
    if let Some(value) = result {
        outputs.push((returned(value.r#type), value.bits));
    }
    let pointers = top
        .head
        .parameters
        .iter()
        .filter(|parameter| parameter.is_pointer);
    for (parameter, value) in pointers.zip(written) {
        outputs.push((parameter.port(), value.bits));
    }
    let Interpreter {
        reader,
        graph,
        assumptions,
        ..
    } = interpreter;
    let netlist = reader.netlist(
        top.head.name,
        top.head.offset,
        &graph,
        inputs,
        outputs,
        Vec::new(),
    )?;
    Ok(Netlist {
        assumptions,
        ..netlist
    })
}

impl Parameter<'_> {
    fn port(&self) -> Port {
        port(self.name, self.r#type)
    }
}

fn port(name: &str, r#type: Type) -> Port {
    Port {
        name: name.to_owned(),
        width: r#type.width(),
        signed: r#type.is_signed(),
        is_integer: true,
    }
}

/// The port of what a function returns.
fn returned(r#type: Type) -> Port {
    port("the returned value", r#type)
}

/// The functions of a file but `main`, and the names of those that others call.
fn functions<'a>(
    lexer: &mut Lexer<'a>,
    called: &mut HashSet<&'a str>,
) -> Result<Vec<Function<'a>>, NetlistError> {
    let mut functions: Vec<Function> = Vec::new();
    let mut names = HashSet::new();
    while lexer.token().kind != TokenKind::End {
        if lexer.accept(";") {
            continue;
        }
        let head = head(lexer)?;
        if lexer.accept(";") {
            continue;
        }
        let body = lexer.clone();
        let calls = skip_body(lexer, Conditional::Refused)?;
        let bytes = lexer.token().offset - body.token().offset;
        if head.name == MAIN {
            continue;
        }
        if !names.insert(head.name) {
            return Err(lexer.error(
                head.offset,
                format!("a second function {}", quoted(head.name)),
                "another name",
            ));
        }
        called.extend(calls.into_iter().filter(|call| *call != head.name));
        functions.push(Function { head, body, bytes });
    }
    Ok(functions)
}

/// The function that is a program, and no multiplier.
const MAIN: &str = "main";

/// What is before a function's body, or before the `;` of a declaration.
fn head<'a>(lexer: &mut Lexer<'a>) -> Result<Head<'a>, NetlistError> {
    while ["static", "inline", "extern"]
        .iter()
        .any(|specifier| lexer.accept(specifier))
    {}
    let result = match lexer.accept("void") {
        true => None,
        false => Some(Type::parse(
            lexer,
            "a function that takes and returns integers",
        )?),
    };
    let name = lexer.expect_kind(TokenKind::Identifier, "the name of a function")?;
    if !lexer.token().is("(") {
        return Err(lexer.unexpected("\"(\": a function, as there can be no global variables"));
    }
    lexer.advance();
    Ok(Head {
        name: name.text,
        offset: name.offset,
        result,
        parameters: parameters(lexer)?,
    })
}

/// Parameters and the bracket that closes their list.
fn parameters<'a>(lexer: &mut Lexer<'a>) -> Result<Vec<Parameter<'a>>, NetlistError> {
    let mut parameters = Vec::new();
    if lexer.accept(")") {
        return Ok(parameters);
    }
    loop {
        if parameters.is_empty() && lexer.accept("void") {
            break;
        }
        let start = lexer.token().offset;
        let r#type = Type::parse(lexer, "a parameter that is an integer or points to one")?;
        let type_text = lexer.since(start);
        let is_pointer = lexer.accept("*");
        while ["const", "restrict"].iter().any(|word| lexer.accept(word)) {}
        let name = lexer.expect_kind(TokenKind::Identifier, "the name of a parameter")?;
        if lexer.token().is("[") {
            return Err(lexer.unexpected("\",\" or \")\": parameters cannot be arrays"));
        }
        parameters.push(Parameter {
            name: name.text,
            offset: name.offset,
            r#type,
            type_text,
            is_pointer,
        });
        if !lexer.accept(",") {
            break;
        }
    }
    lexer.expect(")")?;
    Ok(parameters)
}

/// Whether a body may have code that is compiled on conditions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conditional {
    Refused,
    Allowed,
}

/// Goes past the body of a function, or other braces; the names of what is called in it.
fn skip_body<'a>(
    lexer: &mut Lexer<'a>,
    conditional: Conditional,
) -> Result<HashSet<&'a str>, NetlistError> {
    let mut calls = HashSet::new();
    lexer.expect("{")?;
    let mut open = 1usize;
    while open > 0 {
        let token = lexer.token();
        match token.kind {
            TokenKind::End | TokenKind::Invalid => return Err(lexer.unexpected("\"}\"")),
            TokenKind::Directive if conditional == Conditional::Refused => {
                return Err(lexer.unexpected(not_run()));
            }
            _ => {}
        }
        lexer.advance();
        if token.is("{") {
            open += 1;
        } else if token.is("}") {
            open -= 1;
        } else if token.kind == TokenKind::Identifier && lexer.token().is("(") {
            calls.insert(token.text);
        }
    }
    Ok(calls)
}
