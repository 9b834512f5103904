//! The expressions of a Verilog text: operators by how tightly they bind.

use super::{Name, Parser};
use crate::NetlistError;
use crate::lexer::{TokenKind, locate, quoted};
use crate::verilog::syntax::{
    Expression, ExpressionId, ExpressionKind, Operator, PartRange, Unary,
};

/// How deep expressions may be nested.
const MAX_DEPTH: usize = 128;

impl<'a> Parser<'a> {
    /// Expressions with commas between them, and the bracket that ends them.
    pub(super) fn list(&mut self, end: &str) -> Result<Vec<ExpressionId>, NetlistError> {
        let mut expressions = vec![self.expression()?];
        while self.lexer.accept(",") {
            expressions.push(self.expression()?);
        }
        self.lexer.expect(end)?;
        Ok(expressions)
    }

    /// Adds an expression of these parts.
    fn node(
        &mut self,
        offset: usize,
        kind: ExpressionKind<'a>,
        parts: &[ExpressionId],
    ) -> Result<ExpressionId, NetlistError> {
        let depth = parts
            .iter()
            .map(|part| self.syntax.expressions[part.0 as usize].depth)
            .max()
            .map_or(0, |depth| depth + 1);
        if depth > MAX_DEPTH {
            return Err(self.too_deep(offset));
        }
        self.syntax.expressions.push(Expression {
            offset,
            depth,
            kind,
        });
        // A text of less than 2^32 bytes has fewer expressions.
        Ok(ExpressionId((self.syntax.expressions.len() - 1) as u32))
    }

    fn too_deep(&self, offset: usize) -> NetlistError {
        NetlistError::TooLarge {
            location: locate(self.text, offset),
            what: "levels of expressions within each other",
            found: MAX_DEPTH as u64 + 1,
            limit: MAX_DEPTH as u64,
        }
    }

    pub(super) fn expression(&mut self) -> Result<ExpressionId, NetlistError> {
        let offset = self.lexer.token().offset;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_deep(offset));
        }
        let mut parts = Vec::new();
        let mut cases = Vec::new();
        let last = loop {
            let value = self.binary(0)?;
            parts.push(value);
            if !self.lexer.accept("?") {
                break value;
            }
            let chosen = self.expression()?;
            self.lexer.expect(":")?;
            parts.push(chosen);
            cases.push((value, chosen));
        };
        self.depth -= 1;
        if cases.is_empty() {
            return Ok(last);
        }
        self.node(offset, ExpressionKind::Conditional(cases, last), &parts)
    }

    /// Operators that bind at least as tightly as `least`, and their operands.
    fn binary(&mut self, least: u8) -> Result<ExpressionId, NetlistError> {
        let offset = self.lexer.token().offset;
        let mut left = self.unary()?;
        while let Some((first, level)) = self.operator().filter(|&(_, level)| level >= least) {
            if !first.has_common_width() {
                self.lexer.advance();
                let right = self.binary(level + 1)?;
                left = self.node(
                    offset,
                    ExpressionKind::Binary(first, left, right),
                    &[left, right],
                )?;
                continue;
            }
            let mut parts = vec![left];
            let mut operands = Vec::new();
            while let Some((operator, _)) = self.operator().filter(|&(_, next)| next == level) {
                self.lexer.advance();
                let right = self.binary(level + 1)?;
                parts.push(right);
                operands.push((operator, right));
            }
            left = self.node(offset, ExpressionKind::Chain(left, operands), &parts)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let token = self.lexer.token();
        (token.kind == TokenKind::Symbol)
            .then(|| Operator::of(token.text))
            .flatten()
    }

    fn unary(&mut self) -> Result<ExpressionId, NetlistError> {
        let token = self.lexer.token();
        let operator = match token.text {
            _ if token.kind != TokenKind::Symbol => return self.primary(),
            "+" => Unary::Plus,
            "-" => Unary::Minus,
            "~" => Unary::Not,
            "!" => Unary::LogicalNot,
            "&" => Unary::All { inverted: false },
            "~&" => Unary::All { inverted: true },
            "|" => Unary::Any { inverted: false },
            "~|" => Unary::Any { inverted: true },
            "^" => Unary::Parity { inverted: false },
            "~^" | "^~" => Unary::Parity { inverted: true },
            _ => return self.primary(),
        };
        self.lexer.advance();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_deep(token.offset));
        }
        let operand = self.unary()?;
        self.depth -= 1;
        self.node(
            token.offset,
            ExpressionKind::Unary(operator, operand),
            &[operand],
        )
    }

    fn primary(&mut self) -> Result<ExpressionId, NetlistError> {
        let token = self.lexer.token();
        let offset = token.offset;
        if self.lexer.accept("(") {
            let inner = self.expression()?;
            self.lexer.expect(")")?;
            return Ok(inner);
        }
        if self.lexer.accept("{") {
            return self.braces(offset);
        }
        match token.kind {
            TokenKind::Number | TokenKind::Text => {
                self.lexer.advance();
                self.node(offset, ExpressionKind::Literal(token.text), &[])
            }
            TokenKind::Identifier if token.escaped => self.selection(),
            TokenKind::Identifier if matches!(token.text, "$signed" | "$unsigned") => {
                self.lexer.advance();
                self.lexer.expect("(")?;
                let operand = self.expression()?;
                self.lexer.expect(")")?;
                let signed = token.text == "$signed";
                self.node(offset, ExpressionKind::Cast { signed, operand }, &[operand])
            }
            TokenKind::Identifier if token.text.starts_with('$') => Err(self.lexer.error(
                offset,
                format!("the function {}", quoted(token.text)),
                "no function but $signed and $unsigned",
            )),
            _ => self.selection(),
        }
    }

    /// What follows an opening brace: a concatenation, or one that is repeated.
    fn braces(&mut self, offset: usize) -> Result<ExpressionId, NetlistError> {
        let first = self.expression()?;
        if self.lexer.accept("{") {
            let parts = self.list("}")?;
            self.lexer.expect("}")?;
            let all = [&[first], parts.as_slice()].concat();
            return self.node(
                offset,
                ExpressionKind::Repetition {
                    count: first,
                    parts,
                },
                &all,
            );
        }
        let mut parts = vec![first];
        while self.lexer.accept(",") {
            parts.push(self.expression()?);
        }
        self.lexer.expect("}")?;
        let all = parts.clone();
        self.node(offset, ExpressionKind::Concatenation(parts), &all)
    }

    /// A name, or one or several bits of what it stands for.
    fn selection(&mut self) -> Result<ExpressionId, NetlistError> {
        let Name { text: name, offset } = self.name("an expression")?;
        if self.lexer.token().is("(") {
            return Err(self.lexer.error(
                offset,
                format!("the function {}", quoted(name)),
                "no function but $signed and $unsigned",
            ));
        }
        if !self.lexer.accept("[") {
            return self.node(offset, ExpressionKind::Name(name), &[]);
        }
        let first = self.expression()?;
        let part: Option<fn(ExpressionId, ExpressionId) -> PartRange> = if self.lexer.accept(":") {
            Some(PartRange::Fixed)
        } else if self.lexer.accept("+:") {
            Some(PartRange::Up)
        } else if self.lexer.accept("-:") {
            Some(PartRange::Down)
        } else {
            None
        };
        let Some(part) = part else {
            self.lexer.expect("]")?;
            return self.node(offset, ExpressionKind::Bit(name, first), &[first]);
        };
        let second = self.expression()?;
        self.lexer.expect("]")?;
        let range = part(first, second);
        self.node(
            offset,
            ExpressionKind::Part { name, range },
            &[first, second],
        )
    }
}
