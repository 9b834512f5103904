//! The value of expressions, with the widths and signs that the language gives to their parts: the operands of most
//! operators have the width of the widest one, or of what the result is assigned to.

use super::literal;
use super::scope::{Elaboration, Entry, Net, Scope};
use super::syntax::{ExpressionId, ExpressionKind, Operator, PartRange, Unary};
use super::value::{MAX_WIDTH, Value};
use crate::NetlistError;
use crate::circuit::signal::Signal;
use crate::circuit::vector::{self, Shift};
use crate::lexer::quoted;

/// The width and the sign that an expression has, or that its surroundings give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub width: usize,
    pub signed: bool,
}

impl Size {
    const BIT: Self = Self {
        width: 1,
        signed: false,
    };

    /// That of two operands that are computed with together.
    fn common(self, other: Self) -> Self {
        Self {
            width: self.width.max(other.width),
            signed: self.signed && other.signed,
        }
    }
}

impl<'a> Elaboration<'a, '_> {
    /// The value of an expression that has nothing around it.
    pub(super) fn value(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
    ) -> Result<Value, NetlistError> {
        let size = self.size(scope, id)?;
        Ok(Value {
            bits: self.evaluate(scope, id, size)?,
            signed: size.signed,
        })
    }

    /// The value of an expression that is assigned to something of a width.
    pub(super) fn assigned(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        width: usize,
    ) -> Result<Vec<Signal>, NetlistError> {
        let own = self.size(scope, id)?;
        let size = Size {
            width: own.width.max(width),
            ..own
        };
        let mut bits = self.evaluate(scope, id, size)?;
        bits.truncate(width);
        Ok(bits)
    }

    /// The value of an expression of constants.
    pub(super) fn constant(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
    ) -> Result<i64, NetlistError> {
        let Value { bits, signed } = self.value(scope, id)?;
        constant_number(&bits, signed).ok_or_else(|| {
            self.unexpected(
                scope,
                id,
                "a value that is not constant",
                "a constant of no more than 64 bits",
            )
        })
    }

    fn size(&mut self, scope: &Scope<'a, '_>, id: ExpressionId) -> Result<Size, NetlistError> {
        let expression = scope.expression(id);
        self.spend(scope, 1, expression.offset)?;
        Ok(match &expression.kind {
            ExpressionKind::Literal(text) => {
                let Value { bits, signed } = self.literal(scope, id, text)?;
                Size {
                    width: bits.len(),
                    signed,
                }
            }
            ExpressionKind::Name(name) => match self.entry(scope, id, name)? {
                Entry::Net(net) => Size {
                    width: net.bits.len(),
                    signed: net.signed,
                },
                Entry::Parameter(value) => Size {
                    width: value.bits.len(),
                    signed: value.signed,
                },
            },
            ExpressionKind::Bit(..) => Size::BIT,
            ExpressionKind::Part { name, range } => {
                let (low, high) = self.part(scope, id, name, *range)?;
                Size {
                    width: high - low + 1,
                    signed: false,
                }
            }
            ExpressionKind::Concatenation(parts) => Size {
                width: self.total_width(scope, id, parts, 1)?,
                signed: false,
            },
            ExpressionKind::Repetition { count, parts } => {
                let count = self.count(scope, *count)?;
                Size {
                    width: self.total_width(scope, id, parts, count)?,
                    signed: false,
                }
            }
            ExpressionKind::Unary(operator, operand) => match operator {
                Unary::Plus | Unary::Minus | Unary::Not => self.size(scope, *operand)?,
                _ => Size::BIT,
            },
            ExpressionKind::Chain(first, rest) => {
                let mut size = self.size(scope, *first)?;
                for (_, operand) in rest {
                    size = size.common(self.size(scope, *operand)?);
                }
                size
            }
            ExpressionKind::Binary(operator, first, _) if operator.is_shift() => {
                self.size(scope, *first)?
            }
            ExpressionKind::Binary(..) => Size::BIT,
            ExpressionKind::Conditional(cases, last) => {
                let mut size = self.size(scope, *last)?;
                for (_, chosen) in cases {
                    size = size.common(self.size(scope, *chosen)?);
                }
                size
            }
            ExpressionKind::Cast { signed, operand } => Size {
                signed: *signed,
                ..self.size(scope, *operand)?
            },
        })
    }

    /// The bits of an expression in a width that is at least its own.
    fn evaluate(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        size: Size,
    ) -> Result<Vec<Signal>, NetlistError> {
        let bits = self.bits(scope, id, size)?;
        // What gives a constant is no circuit.
        let is_operator = matches!(
            scope.expression(id).kind,
            ExpressionKind::Unary(..)
                | ExpressionKind::Chain(..)
                | ExpressionKind::Binary(..)
                | ExpressionKind::Conditional(..)
        );
        if is_operator && bits.iter().any(|bit| bit.as_constant().is_none()) {
            self.computes(scope);
        }
        Ok(bits)
    }

    fn bits(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        size: Size,
    ) -> Result<Vec<Signal>, NetlistError> {
        let expression = scope.expression(id);
        self.spend(scope, 1 + size.width, expression.offset)?;
        let own = match &expression.kind {
            ExpressionKind::Unary(Unary::Plus, operand) => {
                return self.evaluate(scope, *operand, size);
            }
            ExpressionKind::Unary(Unary::Minus, operand) => {
                let bits = self.evaluate(scope, *operand, size)?;
                let zero = vector::constant(0, size.width);
                return Ok(vector::subtract(&mut self.graph, &zero, &bits));
            }
            ExpressionKind::Unary(Unary::Not, operand) => {
                return Ok(vector::not(&self.evaluate(scope, *operand, size)?));
            }
            ExpressionKind::Chain(first, rest) => {
                let mut bits = self.evaluate(scope, *first, size)?;
                for &(operator, operand) in rest {
                    let other = self.evaluate(scope, operand, size)?;
                    bits = self.combined(scope, operand, operator, (&bits, &other), size.signed)?;
                }
                return Ok(bits);
            }
            ExpressionKind::Binary(operator, first, amount) if operator.is_shift() => {
                let bits = self.evaluate(scope, *first, size)?;
                let amount = self.value(scope, *amount)?.bits;
                self.spend(scope, size.width * usize::BITS as usize, expression.offset)?;
                let direction = match operator {
                    Operator::ShiftLeft => Shift::Left,
                    Operator::ShiftRightSigned if size.signed => Shift::RightSigned,
                    _ => Shift::Right,
                };
                return Ok(vector::shift(&mut self.graph, &bits, &amount, direction));
            }
            ExpressionKind::Conditional(cases, last) => {
                let mut bits = self.evaluate(scope, *last, size)?;
                for &(condition, chosen) in cases.iter().rev() {
                    let condition = self.truth(scope, condition)?;
                    let chosen = self.evaluate(scope, chosen, size)?;
                    bits = vector::multiplex(&mut self.graph, condition, &chosen, &bits);
                }
                return Ok(bits);
            }
            ExpressionKind::Literal(text) => self.literal(scope, id, text)?.bits,
            ExpressionKind::Name(name) => match self.entry(scope, id, name)? {
                Entry::Net(net) => net.bits.clone(),
                Entry::Parameter(value) => value.bits.clone(),
            },
            ExpressionKind::Bit(name, index) => {
                let low = self.bit(scope, id, name, *index)?;
                vec![self.indexed(scope, id, name)?.bits[low]]
            }
            ExpressionKind::Part { name, range } => {
                let (low, high) = self.part(scope, id, name, *range)?;
                self.indexed(scope, id, name)?.bits[low..=high].to_vec()
            }
            ExpressionKind::Concatenation(parts) => {
                self.total_width(scope, id, parts, 1)?;
                self.concatenation(scope, parts)?
            }
            ExpressionKind::Repetition { count, parts } => {
                let count = self.count(scope, *count)?;
                self.total_width(scope, id, parts, count)?;
                self.concatenation(scope, parts)?.repeat(count)
            }
            ExpressionKind::Unary(operator, operand) => {
                let bits = self.value(scope, *operand)?.bits;
                let graph = &mut self.graph;
                vec![match *operator {
                    Unary::All { inverted } => vector::all(graph, &bits).inverted_if(inverted),
                    Unary::Any { inverted } => vector::any(graph, &bits).inverted_if(inverted),
                    Unary::Parity { inverted } => {
                        vector::parity(graph, &bits).inverted_if(inverted)
                    }
                    _ => !vector::any(graph, &bits),
                }]
            }
            ExpressionKind::Binary(operator, first, second) => {
                vec![self.comparison(scope, *operator, *first, *second)?]
            }
            ExpressionKind::Cast { operand, .. } => self.value(scope, *operand)?.bits,
        };
        Ok(vector::resized(&own, size.width, size.signed))
    }

    /// An operator whose operands have the width of the result.
    fn combined(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        operator: Operator,
        (a, b): (&[Signal], &[Signal]),
        signed: bool,
    ) -> Result<Vec<Signal>, NetlistError> {
        let offset = scope.expression(id).offset;
        let steps = match operator {
            Operator::Multiply => a.len() * a.len(),
            _ => a.len(),
        };
        self.spend(scope, steps, offset)?;
        let graph = &mut self.graph;
        Ok(match operator {
            Operator::Or => vector::or(graph, a, b),
            Operator::Xor => vector::xor(graph, a, b),
            Operator::Xnor => vector::not(&vector::xor(graph, a, b)),
            Operator::And => vector::and(graph, a, b),
            Operator::Add => vector::add(graph, a, b),
            Operator::Subtract => vector::subtract(graph, a, b),
            Operator::Multiply => vector::multiply(graph, a, b),
            _ => {
                let quotient = constant_number(a, signed)
                    .zip(constant_number(b, signed))
                    .and_then(|(a, b)| match operator {
                        Operator::Divide => a.checked_div(b),
                        _ => a.checked_rem(b),
                    });
                let Some(quotient) = quotient else {
                    return Err(self.unexpected(
                        scope,
                        id,
                        "a division",
                        "divisions of constants only, and not by 0",
                    ));
                };
                vector::constant(quotient, a.len())
            }
        })
    }

    /// A comparison or a logical operator.
    fn comparison(
        &mut self,
        scope: &Scope<'a, '_>,
        operator: Operator,
        first: ExpressionId,
        second: ExpressionId,
    ) -> Result<Signal, NetlistError> {
        if matches!(operator, Operator::LogicalAnd | Operator::LogicalOr) {
            let (a, b) = (self.truth(scope, first)?, self.truth(scope, second)?);
            return Ok(match operator {
                Operator::LogicalAnd => self.graph.and(a, b),
                _ => self.graph.or(a, b),
            });
        }
        let size = self.size(scope, first)?.common(self.size(scope, second)?);
        let a = self.evaluate(scope, first, size)?;
        let b = self.evaluate(scope, second, size)?;
        let graph = &mut self.graph;
        Ok(match operator {
            Operator::Equal => vector::equal(graph, &a, &b),
            Operator::NotEqual => !vector::equal(graph, &a, &b),
            Operator::Less => vector::less(graph, &a, &b, size.signed),
            Operator::LessOrEqual => !vector::less(graph, &b, &a, size.signed),
            Operator::Greater => vector::less(graph, &b, &a, size.signed),
            _ => !vector::less(graph, &a, &b, size.signed),
        })
    }

    /// Whether an expression is not 0.
    fn truth(&mut self, scope: &Scope<'a, '_>, id: ExpressionId) -> Result<Signal, NetlistError> {
        let bits = self.value(scope, id)?.bits;
        Ok(vector::any(&mut self.graph, &bits))
    }

    fn literal(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        text: &str,
    ) -> Result<Value, NetlistError> {
        let offset = scope.expression(id).offset;
        let value = match text.starts_with('"') {
            true => literal::parse_text(text),
            false => literal::parse(text),
        };
        let value = value.map_err(|expected| self.unexpected(scope, id, quoted(text), expected))?;
        self.spend(scope, text.len() + value.bits.len(), offset)?;
        Ok(value)
    }

    /// The parts of a concatenation, of which the last one has the lowest bits.
    fn concatenation(
        &mut self,
        scope: &Scope<'a, '_>,
        parts: &[ExpressionId],
    ) -> Result<Vec<Signal>, NetlistError> {
        let mut bits = Vec::new();
        for &part in parts.iter().rev() {
            bits.extend(self.value(scope, part)?.bits);
        }
        Ok(bits)
    }

    /// The width of repeated parts together, which must not be too large.
    fn total_width(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        parts: &[ExpressionId],
        count: usize,
    ) -> Result<usize, NetlistError> {
        let mut width = 0usize;
        for &part in parts {
            width += self.size(scope, part)?.width;
        }
        width
            .checked_mul(count)
            .filter(|width| (1..=MAX_WIDTH).contains(width))
            .ok_or_else(|| self.wrong_width(scope, id, format!("{count} times {width} bits")))
    }

    /// How often a concatenation is repeated.
    fn count(&mut self, scope: &Scope<'a, '_>, id: ExpressionId) -> Result<usize, NetlistError> {
        let count = self.constant(scope, id)?;
        usize::try_from(count)
            .map_err(|_| self.wrong_width(scope, id, format!("{count} repetitions")))
    }

    /// The width of a range of indices, of which either end may be the higher one.
    pub(super) fn range_width(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        first: i64,
        last: i64,
    ) -> Result<usize, NetlistError> {
        let most = MAX_WIDTH as u64 - 1;
        match first.abs_diff(last) {
            difference if difference <= most => Ok(difference as usize + 1),
            _ => Err(self.wrong_width(scope, id, format!("the range [{first}:{last}]"))),
        }
    }

    fn wrong_width(
        &self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        found: impl Into<String>,
    ) -> NetlistError {
        self.unexpected(
            scope,
            id,
            found,
            format!("a vector of 1 to {MAX_WIDTH} bits"),
        )
    }

    /// The position of a bit among those of the net that has it.
    pub(super) fn bit(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        name: &str,
        index: ExpressionId,
    ) -> Result<usize, NetlistError> {
        let index = self.constant(scope, index)?;
        let net = self.indexed(scope, id, name)?;
        net.position(index)
            .ok_or_else(|| self.outside(scope, id, name, net, format!("[{index}]")))
    }

    /// The positions of the lowest and the highest bit of a part among those of the net that has it.
    pub(super) fn part(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        name: &str,
        range: PartRange,
    ) -> Result<(usize, usize), NetlistError> {
        let (first, last, text) = match range {
            PartRange::Fixed(first, last) => {
                let (first, last) = (self.constant(scope, first)?, self.constant(scope, last)?);
                (Some(first), Some(last), format!("[{first}:{last}]"))
            }
            PartRange::Up(base, width) | PartRange::Down(base, width) => {
                let (base, width) = (self.constant(scope, base)?, self.constant(scope, width)?);
                let steps = width.checked_sub(1).filter(|steps| *steps >= 0);
                match range {
                    PartRange::Up(..) => (
                        Some(base),
                        steps.and_then(|steps| base.checked_add(steps)),
                        format!("[{base} +: {width}]"),
                    ),
                    _ => (
                        Some(base),
                        steps.and_then(|steps| base.checked_sub(steps)),
                        format!("[{base} -: {width}]"),
                    ),
                }
            }
        };
        let net = self.indexed(scope, id, name)?;
        let position = |index: Option<i64>| index.and_then(|index| net.position(index));
        match (position(first), position(last)) {
            // The first index of a fixed range is that of the highest bit.
            (Some(high), Some(low)) if matches!(range, PartRange::Fixed(..)) && high >= low => {
                Ok((low, high))
            }
            (Some(one), Some(other)) if !matches!(range, PartRange::Fixed(..)) => {
                Ok((one.min(other), one.max(other)))
            }
            _ => Err(self.outside(scope, id, name, net, text)),
        }
    }

    fn outside(
        &self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        name: &str,
        net: &Net,
        found: String,
    ) -> NetlistError {
        self.unexpected(
            scope,
            id,
            format!("{name}{found}"),
            format!("bits of {name}[{}:{}]", net.first, net.last),
        )
    }

    /// What a name stands for.
    fn entry<'e>(
        &self,
        scope: &'e Scope<'a, '_>,
        id: ExpressionId,
        name: &str,
    ) -> Result<&'e Entry, NetlistError> {
        scope.entries.get(name).ok_or_else(|| {
            self.unexpected(
                scope,
                id,
                quoted(name),
                "a net or parameter that is declared",
            )
        })
    }

    /// The net of a name whose bits are asked for.
    pub(super) fn indexed<'e>(
        &self,
        scope: &'e Scope<'a, '_>,
        id: ExpressionId,
        name: &str,
    ) -> Result<&'e Net, NetlistError> {
        match self.entry(scope, id, name)? {
            Entry::Net(net) => Ok(net),
            Entry::Parameter(_) => Err(self.unexpected(
                scope,
                id,
                format!("bits of the parameter {}", quoted(name)),
                "bits of a net",
            )),
        }
    }

    /// The nets that something is assigned to.
    pub(super) fn target(
        &mut self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
    ) -> Result<Vec<Signal>, NetlistError> {
        let expression = scope.expression(id);
        self.spend(scope, 1, expression.offset)?;
        let nets = match &expression.kind {
            ExpressionKind::Name(name) => self.indexed(scope, id, name)?.bits.clone(),
            ExpressionKind::Bit(name, index) => {
                let position = self.bit(scope, id, name, *index)?;
                vec![self.indexed(scope, id, name)?.bits[position]]
            }
            ExpressionKind::Part { name, range } => {
                let (low, high) = self.part(scope, id, name, *range)?;
                self.indexed(scope, id, name)?.bits[low..=high].to_vec()
            }
            ExpressionKind::Concatenation(parts) => {
                let mut nets = Vec::new();
                for &part in parts.iter().rev() {
                    nets.extend(self.target(scope, part)?);
                }
                nets
            }
            _ => {
                return Err(self.unexpected(
                    scope,
                    id,
                    "an expression",
                    "a net, bits of one, or a concatenation of these",
                ));
            }
        };
        self.spend(scope, nets.len(), expression.offset)?;
        Ok(nets)
    }
}

/// The number that a vector of constants is, if it fits.
fn constant_number(bits: &[Signal], signed: bool) -> Option<i64> {
    if signed && bits.len() <= 64 {
        return vector::constant_value(&vector::resized(bits, 64, true)).map(u64::cast_signed);
    }
    vector::constant_value(bits)?.try_into().ok()
}
