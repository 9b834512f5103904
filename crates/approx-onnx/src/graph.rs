//! A model's graph as it is read: operators with names for values, in the order in which they can be computed.

use std::sync::Arc;

use burn::tensor::{DType, TensorData};

/// A whole model.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) body: Body,
    /// The version of every domain's operators; ONNX's own domain has no name.
    pub(crate) opsets: Vec<(String, i64)>,
}

/// Nodes between inputs and outputs: a model's, or those within a node that chooses.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) inputs: Vec<ValueInfo>,
    pub(crate) outputs: Vec<ValueInfo>,
    pub(crate) constants: Vec<(String, Constant)>,
    pub(crate) nodes: Vec<Node>,
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) operator: Operator,
    /// The names of its inputs; empty for one that is left out.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(String, Attribute)>,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) domain: String,
    pub(crate) name: String,
}

impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.domain.as_str() {
            "" => write!(f, "{}", self.name),
            domain => write!(f, "{domain}.{}", self.name),
        }
    }
}

/// A setting of a node.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
    Tensor(Constant),
    Graph(Arc<Body>),
}

/// What a file says of a value.
#[derive(Clone, Debug)]
pub(crate) struct ValueInfo {
    pub(crate) name: String,
    pub(crate) dtype: Option<DType>,
    pub(crate) shape: Option<Vec<Axis>>,
}

/// A size of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Fixed(usize),
    /// Any size, under a name that may be empty.
    Open(String),
}

/// A tensor of a file.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// Its elements; floats of every precision as float32.
    pub(crate) data: TensorData,
    /// The type that the file gives them.
    pub(crate) dtype: DType,
}

impl Constant {
    pub(crate) fn new(data: TensorData, dtype: DType) -> Self {
        Self { data, dtype }
    }
}
