//! Expressions: operators by how tightly they bind, conversions between types, and calls.

use super::{Argument, Interpreter, Value, is_keyword, not_run};
use crate::NetlistError;
use crate::c_source::types::Type;
use crate::circuit::signal::Signal;
use crate::circuit::vector::{self, Shift};
use crate::lexer::{Lexer, Token, TokenKind, locate, quoted};

impl<'a> Interpreter<'a, '_> {
    pub(super) fn conditional(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, NetlistError> {
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
    fn binary(&mut self, lexer: &mut Lexer<'a>, least: u8) -> Result<Value, NetlistError> {
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

    pub(super) fn binary_value(
        &mut self,
        offset: usize,
        operator: Operator,
        left: &Value,
        right: &Value,
    ) -> Result<Value, NetlistError> {
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
    ) -> Result<Value, NetlistError> {
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
        if may_be_too_far && self.assumptions.is_empty() {
            self.assumptions.push(format!(
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

    fn unary(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, NetlistError> {
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

    fn primary(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, NetlistError> {
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

    fn place_value(&mut self, lexer: &mut Lexer<'a>) -> Result<Value, NetlistError> {
        let place = self.place(lexer)?;
        let value = self.read(&place)?;
        self.spend(value.bits.len(), place.name.offset)?;
        Ok(value)
    }

    /// A call of a function of the file, after its opening bracket.
    fn call(&mut self, lexer: &mut Lexer<'a>, name: Token<'a>) -> Result<Value, NetlistError> {
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
            .head
            .parameters
            .iter()
            .all(|parameter| !parameter.is_pointer);
        if arguments.len() != function.head.parameters.len() || !takes_values {
            return Err(self.error(
                name.offset,
                format!(
                    "a call of {} with {} values",
                    quoted(name.text),
                    arguments.len()
                ),
                format!(
                    "a function of integers, with {} of them",
                    function.head.parameters.len()
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

/// The operators of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
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
pub(super) fn assignment_operator(token: &Token) -> Option<Option<Operator>> {
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
