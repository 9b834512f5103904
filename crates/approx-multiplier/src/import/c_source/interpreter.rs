//! Runs C functions on signals: statements one after the other, expressions as they are read.

use std::collections::HashMap;

use super::types::Type;
use super::{Function, Parameter};
use crate::import::error::ImportError;
use crate::import::lexer::{Lexer, Token, TokenKind, locate, quoted};
use crate::import::netlist::Reader;
use crate::import::netlist::graph::{GraphBuilder, Signal};
use crate::import::netlist::vector::{self, Shift};

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
    /// What should be looked at.
    pub notes: Vec<String>,
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
            notes: Vec::new(),
            blocks: Vec::new(),
            depth: 0,
        }
    }

    /// Runs a function: what it returns, and what it writes through its pointers.
    pub fn run(
        &mut self,
        function: &Function<'a>,
        arguments: Vec<Argument>,
    ) -> Result<(Option<Value>, Vec<Value>), ImportError> {
        self.spend(CALL_STEPS + function.bytes, function.offset)?;
        let mut variables = HashMap::new();
        for (parameter, argument) in function.parameters.iter().zip(arguments) {
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
        if function.result.is_some() && returned.is_none() {
            return Err(self.error(
                function.offset,
                format!("no \"return\" in {}", quoted(function.name)),
                "one at its end",
            ));
        }
        let parameters = std::mem::replace(&mut self.blocks, outer).swap_remove(0);
        let written = function
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
    ) -> Result<Value, ImportError> {
        let bits = variables
            .get(parameter.name)
            .and_then(|variable| variable.elements[0].clone())
            .ok_or_else(|| ImportError::UndrivenNet {
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
    ) -> ImportError {
        ImportError::Unexpected {
            location: locate(self.reader.text, offset),
            found: found.into(),
            expected: expected.into(),
        }
    }

    fn spend(&mut self, steps: usize, offset: usize) -> Result<(), ImportError> {
        self.reader.spend(steps, &self.graph, offset)
    }

    /// Does something one level deeper.
    fn nested<T>(
        &mut self,
        offset: usize,
        action: impl FnOnce(&mut Self) -> Result<T, ImportError>,
    ) -> Result<T, ImportError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ImportError::TooLarge {
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
    ) -> Result<Option<Value>, ImportError> {
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
    ) -> Result<Option<Value>, ImportError> {
        let Some(r#type) = function.result else {
            lexer.expect(";")?;
            return Ok(None);
        };
        let value = self.expression(lexer)?;
        lexer.expect(";")?;
        let bits = self.converted(&value, r#type);
        Ok(Some(Value { bits, r#type }))
    }

    fn declaration(&mut self, lexer: &mut Lexer<'a>) -> Result<(), ImportError> {
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
    ) -> Result<(), ImportError> {
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

    fn statement(&mut self, lexer: &mut Lexer<'a>) -> Result<(), ImportError> {
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
    fn expression(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, ImportError> {
        self.assignment(lexer)
    }

    /// An assignment with the value that it has, or another expression.
    fn assignment(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, ImportError> {
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

    fn assigned(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, ImportError> {
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
    fn place(&mut self, lexer: &mut Lexer<'a>) -> Result<Place<'a>, ImportError> {
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

    fn variable(&self, name: Token<'a>) -> Result<&Variable, ImportError> {
        self.blocks
            .iter()
            .rev()
            .find_map(|block| block.get(name.text))
            .ok_or_else(|| self.undeclared(name))
    }

    fn variable_mut(&mut self, name: Token<'a>) -> Result<&mut Variable, ImportError> {
        let undeclared = self.undeclared(name);
        self.blocks
            .iter_mut()
            .rev()
            .find_map(|block| block.get_mut(name.text))
            .ok_or(undeclared)
    }

    fn undeclared(&self, name: Token<'a>) -> ImportError {
        self.error(
            name.offset,
            quoted(name.text),
            "a variable or function that is declared",
        )
    }

    fn read(&self, place: &Place<'a>) -> Result<Value, ImportError> {
        let variable = self.variable(place.name)?;
        let bits =
            variable.elements[place.element]
                .clone()
                .ok_or_else(|| ImportError::UndrivenNet {
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
    fn constant(&mut self, lexer: &mut Lexer<'a>) -> Result<u64, ImportError> {
        let offset = lexer.token().offset;
        let value = self.assignment(lexer)?;
        vector::constant_value(&value.bits)
            .ok_or_else(|| self.error(offset, "a value that is not constant", "a constant"))
    }

    fn conditional(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, ImportError> {
        let condition = self.binary(lexer, 0)?;
        let offset = lexer.token().offset;
        if !lexer.accept("?") {
            return Ok(condition);
        }
        let chosen = self.assignment(lexer)?;
        lexer.expect(":")?;
        let other = self.nested(offset, |this| this.conditional(lexer))?;
        let r#type = chosen.r#type.promoted().common(other.r#type.promoted());
        let a = self.converted(&chosen, r#type);
        let b = self.converted(&other, r#type);
        self.spend(r#type.width(), offset)?;
        let condition = self.truth(&condition);
        let bits = vector::multiplex(&mut self.graph, condition, &a, &b);
        Ok(Value { bits, r#type })
    }

    /// Operators that bind at least as tightly as `least`, with their operands.
    fn binary(&mut self, lexer: &mut Lexer<'a>, least: u8) -> Result<Value, ImportError> {
        let mut left = self.unary(lexer)?;
        loop {
            let token = lexer.token();
            let Some((operator, level)) = Operator::of(&token).filter(|&(_, level)| level >= least)
            else {
                return Ok(left);
            };
            lexer.advance();
            let right = self.binary(lexer, level + 1)?;
            left = self.binary_value(token.offset, operator, &left, &right)?;
        }
    }

    fn binary_value(
        &mut self,
        offset: usize,
        operator: Operator,
        left: &Value,
        right: &Value,
    ) -> Result<Value, ImportError> {
        use Operator::{
            Add, And, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, LogicalAnd, LogicalOr,
            Multiply, NotEqual, Or, ShiftLeft, ShiftRight, Subtract, Xor,
        };
        let truth = |bit: Signal| Value {
            bits: vector::resized(&[bit], Type::INT.width(), false),
            r#type: Type::INT,
        };
        match operator {
            LogicalAnd | LogicalOr => {
                let (a, b) = (self.truth(left), self.truth(right));
                self.spend(1, offset)?;
                return Ok(truth(match operator {
                    LogicalAnd => self.graph.and(a, b),
                    _ => self.graph.or(a, b),
                }));
            }
            ShiftLeft | ShiftRight => return self.shifted(offset, operator, left, right),
            _ => {}
        }
        let r#type = left.r#type.promoted().common(right.r#type.promoted());
        let a = self.converted(left, r#type);
        let b = self.converted(right, r#type);
        let width = r#type.width();
        self.spend(
            match operator {
                Multiply => width * width,
                _ => width,
            },
            offset,
        )?;
        let graph = &mut self.graph;
        let signed = r#type.is_signed();
        let bits = match operator {
            Or => vector::or(graph, &a, &b),
            Xor => vector::xor(graph, &a, &b),
            And => vector::and(graph, &a, &b),
            Add => vector::add(graph, &a, &b),
            Subtract => vector::subtract(graph, &a, &b),
            Multiply => vector::multiply(graph, &a, &b),
            Equal => return Ok(truth(vector::equal(graph, &a, &b))),
            NotEqual => return Ok(truth(!vector::equal(graph, &a, &b))),
            Less => return Ok(truth(vector::less(graph, &a, &b, signed))),
            LessOrEqual => return Ok(truth(!vector::less(graph, &b, &a, signed))),
            Greater => return Ok(truth(vector::less(graph, &b, &a, signed))),
            GreaterOrEqual => return Ok(truth(!vector::less(graph, &a, &b, signed))),
            LogicalAnd | LogicalOr | ShiftLeft | ShiftRight => unreachable!("they are done above"),
        };
        Ok(Value { bits, r#type })
    }

    fn shifted(
        &mut self,
        offset: usize,
        operator: Operator,
        left: &Value,
        right: &Value,
    ) -> Result<Value, ImportError> {
        let Value { bits, r#type } = self.promoted(left);
        let right = self.promoted(right);
        let amount = right.bits;
        let width = r#type.width();
        let extended = vector::resized(&amount, 64, right.r#type.is_signed());
        if let Some(distance) = vector::constant_value(&extended)
            && distance >= width as u64
        {
            return Err(self.error(
                offset,
                format!("a shift of {width} bits by {}", distance.cast_signed()),
                format!("a shift by 0 to {}: no other is defined", width - 1),
            ));
        }
        self.spend(8 * width, offset)?;
        let may_be_too_far = amount[width.ilog2() as usize..]
            .iter()
            .any(|&bit| bit != Signal::FALSE);
        // One note is enough.
        if may_be_too_far && self.notes.is_empty() {
            self.notes.push(format!(
                "{}: C does not say what a shift of {width} bits by fewer than 0 or more than {} bits is: here it leaves \
                 nothing but the sign of a number that is shifted to the right.",
                locate(self.reader.text, offset),
                width - 1
            ));
        }
        let direction = match operator {
            Operator::ShiftLeft => Shift::Left,
            _ if r#type.is_signed() => Shift::RightSigned,
            _ => Shift::Right,
        };
        let bits = vector::shift(&mut self.graph, &bits, &amount, direction);
        Ok(Value { bits, r#type })
    }

    fn unary(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, ImportError> {
        let token = lexer.token();
        let is_operator = ["~", "-", "+", "!"]
            .iter()
            .any(|operator| token.is(operator));
        if !is_operator {
            return self.primary(lexer);
        }
        lexer.advance();
        let operand = self.nested(token.offset, |this| this.unary(lexer))?;
        let value = self.promoted(&operand);
        let width = value.bits.len();
        self.spend(width, token.offset)?;
        let bits = match token.text {
            "~" => vector::not(&value.bits),
            "-" => {
                let zero = vector::constant(0, width);
                vector::subtract(&mut self.graph, &zero, &value.bits)
            }
            "+" => value.bits,
            _ => {
                let zero = !self.truth(&operand);
                return Ok(Value {
                    bits: vector::resized(&[zero], Type::INT.width(), false),
                    r#type: Type::INT,
                });
            }
        };
        Ok(Value {
            bits,
            r#type: value.r#type,
        })
    }

    fn primary(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, ImportError> {
        let token = lexer.token();
        self.spend(1, token.offset)?;
        match token.kind {
            TokenKind::Number => {
                let (number, r#type) = Type::of_literal(token.text)
                    .ok_or_else(|| lexer.unexpected("an integer of up to 64 bits"))?;
                lexer.advance();
                Ok(Value {
                    bits: vector::constant(number.cast_signed(), r#type.width()),
                    r#type,
                })
            }
            TokenKind::Identifier if is_keyword(token.text) => {
                Err(lexer.unexpected("an expression"))
            }
            TokenKind::Identifier => {
                let mut ahead = lexer.clone();
                ahead.advance();
                if ahead.token().is("(") {
                    ahead.advance();
                    *lexer = ahead;
                    return self.call(lexer, token);
                }
                self.place_value(lexer)
            }
            TokenKind::Symbol if token.text == "*" => self.place_value(lexer),
            TokenKind::Symbol if token.text == "(" => {
                lexer.advance();
                let inner = lexer.token();
                if inner.kind == TokenKind::Identifier && Type::starts_with(inner.text) {
                    let r#type = Type::parse(lexer, "a type")?;
                    lexer.expect(")")?;
                    let value = self.nested(token.offset, |this| this.unary(lexer))?;
                    let bits = self.converted(&value, r#type);
                    return Ok(Value { bits, r#type });
                }
                let value = self.assignment(lexer)?;
                lexer.expect(")")?;
                Ok(value)
            }
            TokenKind::Directive => Err(lexer.unexpected(not_run())),
            _ => Err(lexer.unexpected("an expression")),
        }
    }

    fn place_value(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, ImportError> {
        let place = self.place(lexer)?;
        let value = self.read(&place)?;
        self.spend(value.bits.len(), place.name.offset)?;
        Ok(value)
    }

    /// A call of a function of the file, after its opening bracket.
    fn call(&mut self, lexer: &mut Lexer<'a>, name: Token<'a>) -> Result<Value, ImportError> {
        let Some(&function) = self.functions.get(name.text) else {
            return Err(self.error(
                name.offset,
                format!("the function {}", quoted(name.text)),
                "a function of this file; if it is a macro, run the preprocessor first",
            ));
        };
        let mut arguments = Vec::new();
        if !lexer.token().is(")") {
            loop {
                arguments.push(Argument::Value(self.assignment(lexer)?));
                if !lexer.accept(",") {
                    break;
                }
            }
        }
        lexer.expect(")")?;
        let takes_values = function
            .parameters
            .iter()
            .all(|parameter| !parameter.is_pointer);
        if arguments.len() != function.parameters.len() || !takes_values {
            return Err(self.error(
                name.offset,
                format!(
                    "a call of {} with {} values",
                    quoted(name.text),
                    arguments.len()
                ),
                format!(
                    "a function of integers, with {} of them",
                    function.parameters.len()
                ),
            ));
        }
        let (returned, _) = self.nested(name.offset, |this| this.run(function, arguments))?;
        returned.ok_or_else(|| {
            self.error(
                name.offset,
                format!("a call of {}, which returns nothing", quoted(name.text)),
                "a function that returns an integer",
            )
        })
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    LogicalOr,
    LogicalAnd,
    Or,
    Xor,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
}

impl Operator {
    /// The operator that a token is, and how tightly it binds.
    fn of(token: &Token) -> Option<(Self, u8)> {
        if token.kind != TokenKind::Symbol {
            return None;
        }
        Some(match token.text {
            "||" => (Self::LogicalOr, 0),
            "&&" => (Self::LogicalAnd, 1),
            "|" => (Self::Or, 2),
            "^" => (Self::Xor, 3),
            "&" => (Self::And, 4),
            "==" => (Self::Equal, 5),
            "!=" => (Self::NotEqual, 5),
            "<" => (Self::Less, 6),
            "<=" => (Self::LessOrEqual, 6),
            ">" => (Self::Greater, 6),
            ">=" => (Self::GreaterOrEqual, 6),
            "<<" => (Self::ShiftLeft, 7),
            ">>" => (Self::ShiftRight, 7),
            "+" => (Self::Add, 8),
            "-" => (Self::Subtract, 8),
            "*" => (Self::Multiply, 9),
            _ => return None,
        })
    }
}

/// `Some` of the operator that an assignment combines the old value with, if it does.
fn assignment_operator(token: &Token) -> Option<Option<Operator>> {
    if token.kind != TokenKind::Symbol {
        return None;
    }
    Some(match token.text {
        "=" => None,
        "|=" => Some(Operator::Or),
        "^=" => Some(Operator::Xor),
        "&=" => Some(Operator::And),
        "<<=" => Some(Operator::ShiftLeft),
        ">>=" => Some(Operator::ShiftRight),
        "+=" => Some(Operator::Add),
        "-=" => Some(Operator::Subtract),
        "*=" => Some(Operator::Multiply),
        _ => return None,
    })
}
