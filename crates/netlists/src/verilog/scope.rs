//! What is known while modules are put together: what names stand for in an instance, and the graph that grows.

use std::collections::{BTreeMap, HashMap};

use super::cells::Library;
use super::syntax::{Expression, ExpressionId, Module, NetKind, Syntax};
use super::value::Value;
use crate::NetlistError;
use crate::circuit::graph::GraphBuilder;
use crate::circuit::signal::Signal;
use crate::lexer::locate;
use crate::reader::Reader;

/// What a name stands for in a module.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Net(Net),
    Parameter(Value),
}

/// A net or a vector of them.
#[derive(Clone, Debug)]
pub(super) struct Net {
    /// The lowest bit first.
    pub bits: Vec<Signal>,
    /// The indices of the highest and the lowest bit.
    pub first: i64,
    pub last: i64,
    pub signed: bool,
    pub kind: NetKind,
    pub open_is_zero: bool,
    pub has_range: bool,
}

impl Net {
    /// The position of the bit with an index.
    pub fn position(&self, index: i64) -> Option<usize> {
        let steps = if self.first >= self.last {
            index.checked_sub(self.last)
        } else {
            self.last.checked_sub(index)
        };
        let position = usize::try_from(steps?).ok()?;
        (self.has_range && position < self.bits.len()).then_some(position)
    }
}

/// The names of an instance of a module.
pub(super) struct Scope<'a, 's> {
    pub syntax: &'s Syntax<'a>,
    pub entries: HashMap<&'a str, Entry>,
    /// Where the instance is, if the module is not in the text that is read.
    pub place: Option<usize>,
}

impl<'a, 's> Scope<'a, 's> {
    pub fn expression(&self, id: ExpressionId) -> &'s Expression<'a> {
        &self.syntax.expressions[id.0 as usize]
    }

    /// Where in the text that is read something of the module is.
    pub fn place(&self, offset: usize) -> usize {
        self.place.unwrap_or(offset)
    }
}

/// Modules that are put together to one graph: expressions add to it, and the items of modules.
pub(super) struct Elaboration<'a, 's> {
    pub reader: Reader<'a>,
    pub graph: GraphBuilder<'a>,
    pub syntax: &'s Syntax<'a>,
    pub modules: HashMap<&'a str, &'s Module<'a>>,
    /// The user's own cells.
    pub library: Option<&'s Library<'a>>,
    /// How often each cell was met; `None` once something computes that is none.
    pub cells: Option<BTreeMap<&'a str, u64>>,
}

impl<'a> Elaboration<'a, '_> {
    /// Counts steps for what is at an offset of a module, and looks whether there are too many.
    pub(super) fn spend(
        &mut self,
        scope: &Scope<'a, '_>,
        steps: usize,
        offset: usize,
    ) -> Result<(), NetlistError> {
        self.reader.spend(steps, &self.graph, scope.place(offset))
    }

    /// The error that an expression should be something else.
    pub(super) fn unexpected(
        &self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> NetlistError {
        self.unexpected_at(scope.place(scope.expression(id).offset), found, expected)
    }

    /// The error that something else should be at an offset of the text that is read.
    pub(super) fn unexpected_at(
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
}
