//! Signals: what gates take and outputs are.

use std::ops::Not;

/// A node of a circuit or of the graph that it is made of, inverted or not: the constant false, an input or a gate.
///
/// ```
/// use approx_netlists::Signal;
///
/// assert_eq!(!Signal::FALSE, Signal::TRUE);
/// assert_eq!(Signal::TRUE.as_constant(), Some(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(u32);

impl Signal {
    /// The constant false.
    pub const FALSE: Self = Self(0);
    /// The constant true.
    pub const TRUE: Self = Self(1);

    /// The most nodes that signals can tell apart.
    pub(crate) const MAX_NODES: usize = 1 << 31;

    /// The signal that is always `value`.
    pub fn constant(value: bool) -> Self {
        Self(value.into())
    }

    /// The value of a constant signal; `None` if it depends on inputs.
    pub fn as_constant(self) -> Option<bool> {
        (self.node() == 0).then_some(self.is_inverted())
    }

    pub(crate) fn of_node(node: usize) -> Self {
        debug_assert!(node < Self::MAX_NODES);
        Self((node as u32) << 1)
    }

    pub(crate) fn node(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub(crate) fn is_inverted(self) -> bool {
        self.0 & 1 == 1
    }

    /// The signal, inverted if `invert`.
    pub(crate) fn inverted_if(self, invert: bool) -> Self {
        Self(self.0 ^ u32::from(invert))
    }
}

impl Not for Signal {
    type Output = Self;

    fn not(self) -> Self {
        self.inverted_if(true)
    }
}
