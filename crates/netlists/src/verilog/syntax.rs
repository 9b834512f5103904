//! What a Verilog text says, before any of it is put together. Expressions are in one vector, which frees them without
//! recursion; operators of one precedence are a list, so that long ones are not deep.

/// A name and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub text: &'a str,
    pub offset: usize,
}

/// The modules of a text.
#[derive(Debug, Default)]
pub(super) struct Syntax<'a> {
    pub modules: Vec<Module<'a>>,
    pub expressions: Vec<Expression<'a>>,
}

/// The position of an expression in [`Syntax::expressions`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpressionId(pub u32);

#[derive(Debug)]
pub(super) struct Module<'a> {
    pub name: Name<'a>,
    /// The length of its text.
    pub bytes: usize,
    pub ports: Vec<Name<'a>>,
    pub items: Vec<Item<'a>>,
}

#[derive(Debug)]
pub(super) enum Item<'a> {
    Declaration(Declaration<'a>),
    Parameter(Parameter<'a>),
    Assignment {
        target: ExpressionId,
        value: ExpressionId,
    },
    Gate(Gate),
    Instance(Instance<'a>),
}

/// What a declaration declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetKind {
    Input,
    Output,
    Wire,
    /// Nets with a constant value.
    Supply(bool),
}

/// Nets of one kind and range, each with the value that drives it, if there is one.
#[derive(Debug)]
pub(super) struct Declaration<'a> {
    pub kind: NetKind,
    /// Whether inputs are 0 where an instance leaves them open: `tri0`.
    pub open_is_zero: bool,
    pub signed: bool,
    pub range: Option<(ExpressionId, ExpressionId)>,
    pub nets: Vec<(Name<'a>, Option<ExpressionId>)>,
}

#[derive(Debug)]
pub(super) struct Parameter<'a> {
    pub name: Name<'a>,
    /// Whether an instance cannot give it another value.
    pub is_local: bool,
    pub value: ExpressionId,
}

/// A gate primitive.
#[derive(Debug)]
pub(super) struct Gate {
    pub function: GateFunction,
    pub offset: usize,
    pub terminals: Vec<ExpressionId>,
}

/// What a gate primitive computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GateFunction {
    And {
        inverted: bool,
    },
    Or {
        inverted: bool,
    },
    Xor {
        inverted: bool,
    },
    /// One input, which is last, and one or more outputs.
    Buffer {
        inverted: bool,
    },
}

/// An instance of a module or a standard cell.
#[derive(Debug)]
pub(super) struct Instance<'a> {
    pub module: Name<'a>,
    pub parameters: Connections<'a>,
    pub connections: Connections<'a>,
}

/// What an instance connects, or which values it gives to parameters. What is left open is `None`.
#[derive(Debug)]
pub(super) enum Connections<'a> {
    Positional(Vec<Option<ExpressionId>>),
    Named(Vec<(Name<'a>, Option<ExpressionId>)>),
}

#[derive(Debug)]
pub(super) struct Expression<'a> {
    pub offset: usize,
    /// How many levels of expressions it has.
    pub depth: usize,
    pub kind: ExpressionKind<'a>,
}

#[derive(Debug)]
pub(super) enum ExpressionKind<'a> {
    Literal(&'a str),
    Name(&'a str),
    Bit(&'a str, ExpressionId),
    Part {
        name: &'a str,
        range: PartRange,
    },
    Concatenation(Vec<ExpressionId>),
    Repetition {
        count: ExpressionId,
        parts: Vec<ExpressionId>,
    },
    Unary(Unary, ExpressionId),
    /// Operators of one precedence, from left to right, whose operands have the width of the result.
    Chain(ExpressionId, Vec<(Operator, ExpressionId)>),
    /// An operator of which at least one operand has a width of its own.
    Binary(Operator, ExpressionId, ExpressionId),
    /// The value of the first condition that holds, or the last one.
    Conditional(Vec<(ExpressionId, ExpressionId)>, ExpressionId),
    /// `$signed` and `$unsigned`.
    Cast {
        signed: bool,
        operand: ExpressionId,
    },
}

/// The bits of a part select.
#[derive(Clone, Copy, Debug)]
pub(super) enum PartRange {
    /// `[first:last]`
    Fixed(ExpressionId, ExpressionId),
    /// `[base +: width]`
    Up(ExpressionId, ExpressionId),
    /// `[base -: width]`
    Down(ExpressionId, ExpressionId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Plus,
    Minus,
    Not,
    LogicalNot,
    All { inverted: bool },
    Any { inverted: bool },
    Parity { inverted: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    LogicalOr,
    LogicalAnd,
    Or,
    Xor,
    Xnor,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    ShiftLeft,
    ShiftRight,
    ShiftRightSigned,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// The operator that a token is, and how tightly it binds.
    pub fn of(token: &str) -> Option<(Self, u8)> {
        Some(match token {
            "||" => (Self::LogicalOr, 0),
            "&&" => (Self::LogicalAnd, 1),
            "|" => (Self::Or, 2),
            "^" => (Self::Xor, 3),
            "~^" | "^~" => (Self::Xnor, 3),
            "&" => (Self::And, 4),
            "==" | "===" => (Self::Equal, 5),
            "!=" | "!==" => (Self::NotEqual, 5),
            "<" => (Self::Less, 6),
            "<=" => (Self::LessOrEqual, 6),
            ">" => (Self::Greater, 6),
            ">=" => (Self::GreaterOrEqual, 6),
            "<<" | "<<<" => (Self::ShiftLeft, 7),
            ">>" => (Self::ShiftRight, 7),
            ">>>" => (Self::ShiftRightSigned, 7),
            "+" => (Self::Add, 8),
            "-" => (Self::Subtract, 8),
            "*" => (Self::Multiply, 9),
            "/" => (Self::Divide, 9),
            "%" => (Self::Remainder, 9),
            _ => return None,
        })
    }

    /// Whether both operands have the width of the result.
    pub fn has_common_width(self) -> bool {
        matches!(
            self,
            Self::Or
                | Self::Xor
                | Self::Xnor
                | Self::And
                | Self::Add
                | Self::Subtract
                | Self::Multiply
                | Self::Divide
                | Self::Remainder
        )
    }

    pub fn is_shift(self) -> bool {
        matches!(
            self,
            Self::ShiftLeft | Self::ShiftRight | Self::ShiftRightSigned
        )
    }
}
