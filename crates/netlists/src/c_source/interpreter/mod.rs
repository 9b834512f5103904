//! Runs C functions on signals: statements one after the other, `expression` what they are made of as it is read.

mod expression;

use std::collections::HashMap;

use self::expression::assignment_operator;
use super::types::Type;
use super::{Function, Parameter};
use crate::NetlistError;
use crate::circuit::graph::GraphBuilder;
use crate::circuit::signal::Signal;
use crate::circuit::vector;
use crate::lexer::{Lexer, Token, TokenKind, locate, quoted};
use crate::reader::Reader;

/// How deep expressions, blocks and calls may be nested, all together.
const MAX_DEPTH: usize = 128;

/// The most elements of an array.
const MAX_ELEMENTS: usize = 1 << 16;

/// The steps that a call counts for, besides one for each byte of the function and those of what is in it.
const CALL_STEPS: usize = 64;

/// The least that an element of an array counts for: it takes memory before it has a value.
const ELEMENT_STEPS: usize = 32;

/// What is said where conditional compilation is met.
pub(super) fn not_run() -> &'static str {
    "code without conditional compilation: run the preprocessor first"
}

/// An integer, the lowest bit first.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub bits: Vec<Signal>,
    pub r#type: Type,
}

/// What a function is called with.
pub(super) enum Argument {
    Value(Value),
    /// A pointer to an integer that is written to.
    Output(Type),
}

/// What a name stands for. An element that has no value yet is `None`.
struct Variable {
    r#type: Type,
    /// The sizes of an array's dimensions; none for an integer.
    dimensions: Vec<usize>,
    is_pointer: bool,
    elements: Vec<Option<Vec<Signal>>>,
}

/// Something that can be assigned to.
struct Place<'a> {
    name: Token<'a>,
    element: usize,
}

/// The state of a program: the variables of the function that runs, block by block.
pub(super) struct Interpreter<'a, 'f> {
    pub reader: Reader<'a>,
    pub graph: GraphBuilder<'a>,
    functions: HashMap<&'a str, &'f Function<'a>>,
    /// What C leaves open, and what was taken for it.
    pub assumptions: Vec<String>,
    blocks: Vec<HashMap<&'a str, Variable>>,
    depth: usize,
}

impl<'a, 'f> Interpreter<'a, 'f> {
    pub fn new(reader: Reader<'a>, functions: HashMap<&'a str, &'f Function<'a>>) -> Self {
        let graph = reader.graph();
        Self {
            reader,
            graph,
            functions,
            assumptions: Vec::new(),
            blocks: Vec::new(),
            depth: 0,
        }
    }

    /// Runs a function: what it returns, and what it writes through its pointers.
    pub fn run(
        &mut self,
        function: &Function<'a>,
        arguments: Vec<Argument>,
    ) -> Result<(Option<Value>, Vec<Value>), NetlistError> {
        self.spend(CALL_STEPS + function.bytes, function.head.offset)?;
        let mut variables = HashMap::new();
        for (parameter, argument) in function.head.parameters.iter().zip(arguments) {
            let variable = match argument {
                Argument::Value(value) => Variable {
                    r#type: parameter.r#type,
                    dimensions: Vec::new(),
                    is_pointer: false,
                    elements: vec![Some(self.converted(&value, parameter.r#type))],
                },
                Argument::Output(r#type) => Variable {
                    r#type,
                    dimensions: Vec::new(),
                    is_pointer: true,
                    elements: vec![None],
                },
            };
            if variables.insert(parameter.name, variable).is_some() {
                return Err(self.error(
                    parameter.offset,
                    format!("a second parameter {}", quoted(parameter.name)),
                    "another name",
                ));
            }
        }
        let outer = std::mem::replace(&mut self.blocks, vec![variables]);
        let mut lexer = function.body.clone();
        let returned = self.block(&mut lexer, function)?;
        if function.head.result.is_some() && returned.is_none() {
            return Err(self.error(
                function.head.offset,
                format!("no \"return\" in {}", quoted(function.head.name)),
                "one at its end",
            ));
        }
        let parameters = std::mem::replace(&mut self.blocks, outer).swap_remove(0);
        let written = function
            .head
            .parameters
            .iter()
            .filter(|parameter| parameter.is_pointer)
            .map(|parameter| self.written(parameter, &parameters))
            .collect::<Result<_, _>>()?;
        Ok((returned, written))
    }

    /// What was written through a pointer.
    fn written(
        &self,
        parameter: &Parameter<'a>,
        variables: &HashMap<&'a str, Variable>,
    ) -> Result<Value, NetlistError> {
        let bits = variables
            .get(parameter.name)
            .and_then(|variable| variable.elements[0].clone())
            .ok_or_else(|| NetlistError::UndrivenNet {
                location: locate(self.reader.text, parameter.offset),
                net: format!("*{}", parameter.name),
            })?;
        Ok(Value {
            bits,
            r#type: parameter.r#type,
        })
    }

    fn error(
        &self,
        offset: usize,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> NetlistError {
        NetlistError::Unexpected {
            location: locate(self.reader.text, offset),
            found: found.into(),
            expected: expected.into(),
        }
    }

    fn spend(&mut self, steps: usize, offset: usize) -> Result<(), NetlistError> {
        self.reader.spend(steps, &self.graph, offset)
    }

    /// Does something one level deeper.
    fn nested<T>(
        &mut self,
        offset: usize,
        action: impl FnOnce(&mut Self) -> Result<T, NetlistError>,
    ) -> Result<T, NetlistError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(NetlistError::TooLarge {
                location: locate(self.reader.text, offset),
                what: "levels of expressions, blocks and calls within each other",
                found: self.depth as u64,
                limit: MAX_DEPTH as u64,
            });
        }
        let result = action(self)?;
        self.depth -= 1;
        Ok(result)
    }

    /// Runs a block; what it returns, if it does.
    fn block(
        &mut self,
        lexer: &mut Lexer<'a>,
        function: &Function<'a>,
    ) -> Result<Option<Value>, NetlistError> {
        lexer.expect("{")?;
        self.blocks.push(HashMap::new());
        let mut returned = None;
        while !lexer.token().is("}") {
            let token = lexer.token();
            if returned.is_some() {
                return Err(lexer.unexpected("\"}\" after \"return\""));
            }
            if lexer.accept(";") {
                continue;
            }
            if token.is("{") {
                returned = self.nested(token.offset, |this| this.block(lexer, function))?;
            } else if lexer.accept("return") {
                returned = self.returned(lexer, function)?;
            } else if token.kind == TokenKind::Identifier && Type::starts_with(token.text) {
                self.declaration(lexer)?;
            } else {
                self.statement(lexer)?;
            }
        }
        lexer.advance();
        self.blocks.pop();
        Ok(returned)
    }

    fn returned(
        &mut self,
        lexer: &mut Lexer<'a>,
        function: &Function<'a>,
    ) -> Result<Option<Value>, NetlistError> {
        let Some(r#type) = function.head.result else {
            lexer.expect(";")?;
            return Ok(None);
        };
        let value = self.expression(lexer)?;
        lexer.expect(";")?;
        let bits = self.converted(&value, r#type);
        Ok(Some(Value { bits, r#type }))
    }

    fn declaration(&mut self, lexer: &mut Lexer<'a>) -> Result<(), NetlistError> {
        let r#type = Type::parse(lexer, "a type")?;
        loop {
            let name = lexer.expect_kind(TokenKind::Identifier, "the name of a variable")?;
            let mut dimensions = Vec::new();
            let mut count = 1usize;
            while lexer.accept("[") {
                let size = self.constant(lexer)?;
                lexer.expect("]")?;
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                count = count.saturating_mul(size);
                dimensions.push(size);
                if !(1..=MAX_ELEMENTS).contains(&count) {
                    return Err(self.error(
                        name.offset,
                        format!("an array of {count} elements"),
                        format!("1 to {MAX_ELEMENTS} elements"),
                    ));
                }
            }
            let steps = match dimensions.is_empty() {
                true => r#type.width(),
                false => count * r#type.width().max(ELEMENT_STEPS),
            };
            self.spend(steps, name.offset)?;
            let mut elements = vec![None; count];
            if lexer.accept("=") {
                self.initialise(lexer, r#type, &dimensions, &mut elements)?;
            }
            let variable = Variable {
                r#type,
                dimensions,
                is_pointer: false,
                elements,
            };
            let block = self.blocks.last_mut().expect("a function has a block");
            if block.insert(name.text, variable).is_some() {
                return Err(self.error(
                    name.offset,
                    format!("a second declaration of {}", quoted(name.text)),
                    "another name",
                ));
            }
            if !lexer.accept(",") {
                break;
            }
        }
        if !lexer.accept(";") {
            return Err(lexer.unexpected("\",\" or \";\""));
        }
        Ok(())
    }

    /// Gives a variable its first value, an array those of its first elements and 0 to the others.
    fn initialise(
        &mut self,
        lexer: &mut Lexer<'a>,
        r#type: Type,
        dimensions: &[usize],
        elements: &mut [Option<Vec<Signal>>],
    ) -> Result<(), NetlistError> {
        if dimensions.is_empty() {
            let value = self.assignment(lexer)?;
            elements[0] = Some(self.converted(&value, r#type));
            return Ok(());
        }
        lexer.expect("{")?;
        let mut given = 0;
        while !lexer.token().is("}") {
            if lexer.token().is("{") || given == elements.len() {
                return Err(
                    lexer.unexpected("no more elements than the array has, without inner braces")
                );
            }
            let value = self.assignment(lexer)?;
            elements[given] = Some(self.converted(&value, r#type));
            given += 1;
            if !lexer.accept(",") {
                break;
            }
        }
        lexer.expect("}")?;
        elements[given..].fill(Some(vec![Signal::FALSE; r#type.width()]));
        Ok(())
    }

    fn statement(&mut self, lexer: &mut Lexer<'a>) -> Result<(), NetlistError> {
        let token = lexer.token();
        let starts = match token.kind {
            TokenKind::Identifier => !is_keyword(token.text),
            _ => token.is("*") || token.is("("),
        };
        if token.kind == TokenKind::Directive {
            return Err(lexer.unexpected(not_run()));
        }
        if !starts {
            return Err(lexer.unexpected(
                "a declaration, an assignment or \"return\": only functions without branches, loops and state can be read",
            ));
        }
        if token.is("(") {
            // `(void)x;` keeps compilers from warnings.
            let mut ahead = lexer.clone();
            ahead.advance();
            if ahead.accept("void") {
                ahead.expect(")")?;
                *lexer = ahead;
            }
        }
        self.expression(lexer)?;
        if !lexer.accept(";") {
            return Err(lexer.unexpected("an operator or \";\""));
        }
        Ok(())
    }

    /// An expression, which may be an assignment.
    fn expression(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, NetlistError> {
        self.assignment(lexer)
    }

    /// An assignment with the value that it has, or another expression.
    fn assignment(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, NetlistError> {
        let start = lexer.token();
        self.nested(start.offset, |this| {
            let may_be_place = start.is("*")
                || (start.kind == TokenKind::Identifier
                    && !this.functions.contains_key(start.text));
            if may_be_place {
                let mut ahead = lexer.clone();
                if this.skip_place(&mut ahead) && assignment_operator(&ahead.token()).is_some() {
                    return this.assigned(lexer);
                }
            }
            this.conditional(lexer)
        })
    }

    /// Goes past what could be assigned to, if it looks like it.
    fn skip_place(&self, lexer: &mut Lexer<'a>) -> bool {
        lexer.accept("*");
        if lexer.advance().kind != TokenKind::Identifier {
            return false;
        }
        while lexer.token().is("[") {
            let mut open = 0usize;
            loop {
                let token = lexer.advance();
                match token.text {
                    "[" => open += 1,
                    "]" => open -= 1,
                    _ if matches!(token.kind, TokenKind::End | TokenKind::Invalid) => return false,
                    ";" => return false,
                    _ => {}
                }
                if open == 0 {
                    break;
                }
            }
        }
        true
    }

    fn assigned(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, NetlistError> {
        let place = self.place(lexer)?;
        let operator = lexer.advance();
        let value = self.assignment(lexer)?;
        let value = match assignment_operator(&operator) {
            Some(Some(combined)) => {
                let old = self.read(&place)?;
                self.binary_value(operator.offset, combined, &old, &value)?
            }
            _ => value,
        };
        let r#type = self.variable(place.name)?.r#type;
        let bits = self.converted(&value, r#type);
        self.spend(r#type.width(), operator.offset)?;
        self.variable_mut(place.name)?.elements[place.element] = Some(bits.clone());
        Ok(Value { bits, r#type })
    }

    /// A variable, an element of an array, or what a pointer points to.
    fn place(&mut self, lexer: &mut Lexer<'a>) -> Result<Place<'a>, NetlistError> {
        let through_pointer = lexer.accept("*");
        let name = lexer.expect_kind(TokenKind::Identifier, "the name of a variable")?;
        let dimensions = self.variable(name)?.dimensions.clone();
        let mut element = 0;
        let mut given = 0;
        while lexer.accept("[") {
            let offset = lexer.token().offset;
            let index = self.constant(lexer)?;
            lexer.expect("]")?;
            let size = dimensions.get(given).copied().unwrap_or(0);
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            if index >= size {
                return Err(self.error(
                    offset,
                    format!("the index {index} of {}", quoted(name.text)),
                    match size {
                        0 => "no further index".into(),
                        size => format!("0 to {}", size - 1),
                    },
                ));
            }
            element = element * size + index;
            given += 1;
        }
        let is_pointer = self.variable(name)?.is_pointer;
        if given != dimensions.len() || is_pointer != through_pointer {
            return Err(self.error(
                name.offset,
                format!("{} as a whole or through a pointer", quoted(name.text)),
                match (is_pointer, dimensions.len()) {
                    (true, _) => format!("*{}", name.text),
                    (false, 0) => "the variable itself".into(),
                    (false, count) => format!("an element with {count} indices"),
                },
            ));
        }
        Ok(Place { name, element })
    }

    fn variable(&self, name: Token<'a>) -> Result<&Variable, NetlistError> {
        self.blocks
            .iter()
            .rev()
            .find_map(|block| block.get(name.text))
            .ok_or_else(|| self.undeclared(name))
    }

    fn variable_mut(&mut self, name: Token<'a>) -> Result<&mut Variable, NetlistError> {
        let undeclared = self.undeclared(name);
        self.blocks
            .iter_mut()
            .rev()
            .find_map(|block| block.get_mut(name.text))
            .ok_or(undeclared)
    }

    fn undeclared(&self, name: Token<'a>) -> NetlistError {
        self.error(
            name.offset,
            quoted(name.text),
            "a variable or function that is declared",
        )
    }

    fn read(&self, place: &Place<'a>) -> Result<Value, NetlistError> {
        let variable = self.variable(place.name)?;
        let bits =
            variable.elements[place.element]
                .clone()
                .ok_or_else(|| NetlistError::UndrivenNet {
                    location: locate(self.reader.text, place.name.offset),
                    net: format!("the variable {}", quoted(place.name.text)),
                })?;
        Ok(Value {
            bits,
            r#type: variable.r#type,
        })
    }

    /// The bits of a value as another type.
    fn converted(&mut self, value: &Value, r#type: Type) -> Vec<Signal> {
        match r#type {
            Type::Bool => vec![vector::any(&mut self.graph, &value.bits)],
            Type::Integer { width, .. } => {
                vector::resized(&value.bits, width, value.r#type.is_signed())
            }
        }
    }

    fn promoted(&mut self, value: &Value) -> Value {
        let r#type = value.r#type.promoted();
        Value {
            bits: self.converted(value, r#type),
            r#type,
        }
    }

    /// Whether a value is not 0.
    fn truth(&mut self, value: &Value) -> Signal {
        vector::any(&mut self.graph, &value.bits)
    }

    /// An expression whose value is a constant.
    fn constant(&mut self, lexer: &mut Lexer<'a>) -> Result<u64, NetlistError> {
        let offset = lexer.token().offset;
        let value = self.assignment(lexer)?;
        vector::constant_value(&value.bits)
            .ok_or_else(|| self.error(offset, "a value that is not constant", "a constant"))
    }
}

/// Words that are no names of variables.
fn is_keyword(word: &str) -> bool {
    const KEYWORDS: [&str; 21] = [
        "asm", "auto", "break", "case", "continue", "default", "do", "else", "enum", "extern",
        "for", "goto", "if", "inline", "sizeof", "static", "struct", "switch", "typedef", "union",
        "while",
    ];
    KEYWORDS.contains(&word)
}
