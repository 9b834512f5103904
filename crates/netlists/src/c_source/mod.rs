//! C functions without branches and loops, such as those of EvoApproxLib: temporaries, bit operators, shifts
//! and integer arithmetic, helper functions, and a result that is returned or written through a pointer.
//!
//! A function is run once, with signals for the bits of its variables. What remains is the circuit behind it.

mod interpreter;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use self::interpreter::{Argument, Interpreter, Value, not_run};
use self::types::Type;
use crate::NetlistError;
use crate::circuit::graph::Declaration;
use crate::lexer::{Dialect, Lexer, TokenKind, quoted};
use crate::netlist::{Netlist, Port};
use crate::options::NetlistOptions;
use crate::reader::{Reader, choose_top};

/// A function, the body of which is read when it is run.
struct Function<'a> {
    name: &'a str,
    offset: usize,
    /// `None` for void.
    result: Option<Type>,
    parameters: Vec<Parameter<'a>>,
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
    is_pointer: bool,
}

/// Reads the function that the options ask for, or that no other one calls.
pub(crate) fn parse(text: &str, options: &NetlistOptions) -> Result<Netlist, NetlistError> {
    let reader = Reader::new(text, options)?;
    let mut called = HashSet::new();
    let functions = functions(&mut Lexer::new(text, Dialect::C), &mut called)?;
    let names: Vec<&str> = functions.iter().map(|function| function.name).collect();
    let top = &functions[choose_top("function", &names, &called, options)?];
    let by_name: HashMap<&str, &Function> = functions
        .iter()
        .map(|function| (function.name, function))
        .collect();
    let mut interpreter = Interpreter::new(reader, by_name);
    let mut inputs = Vec::new();
    let mut arguments = Vec::new();
    for parameter in &top.parameters {
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
        let port = Port {
            name: "the returned value".into(),
            width: value.bits.len(),
            signed: value.r#type.is_signed(),
            is_integer: true,
        };
        outputs.push((port, value.bits));
    }
    let pointers = top
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
    let netlist = reader.netlist(top.name, top.offset, &graph, inputs, outputs, Vec::new())?;
    Ok(Netlist {
        assumptions,
        ..netlist
    })
}

impl Parameter<'_> {
    fn port(&self) -> Port {
        Port {
            name: self.name.to_owned(),
            width: self.r#type.width(),
            signed: self.r#type.is_signed(),
            is_integer: true,
        }
    }
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
        let parameters = parameters(lexer)?;
        if lexer.accept(";") {
            continue;
        }
        let body = lexer.clone();
        let calls = skip_body(lexer)?;
        let bytes = lexer.token().offset - body.token().offset;
        if name.text == "main" {
            continue;
        }
        if !names.insert(name.text) {
            return Err(lexer.error(
                name.offset,
                format!("a second function {}", quoted(name.text)),
                "another name",
            ));
        }
        called.extend(calls.into_iter().filter(|call| *call != name.text));
        functions.push(Function {
            name: name.text,
            offset: name.offset,
            result,
            parameters,
            body,
            bytes,
        });
    }
    Ok(functions)
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
        let r#type = Type::parse(lexer, "a parameter that is an integer or points to one")?;
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
            is_pointer,
        });
        if !lexer.accept(",") {
            break;
        }
    }
    lexer.expect(")")?;
    Ok(parameters)
}

/// Goes past the body of a function; the names of what is called in it.
fn skip_body<'a>(lexer: &mut Lexer<'a>) -> Result<HashSet<&'a str>, NetlistError> {
    let mut calls = HashSet::new();
    lexer.expect("{")?;
    let mut open = 1usize;
    while open > 0 {
        let token = lexer.token();
        match token.kind {
            TokenKind::End | TokenKind::Invalid => return Err(lexer.unexpected("\"}\"")),
            TokenKind::Directive => return Err(lexer.unexpected(not_run())),
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
