//! A model's graph as it is read: operators with names for values, in the order in which they can be computed.

use std::sync::Arc;

use burn::tensor::{DType, TensorData};

/// A whole model.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) body: Body,
    /// The version of ONNX's own operators, for nodes that take the place of others.
    pub(crate) version: i64,
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
    /// The path of the module that it computes for, where the exporter says it.
    pub(crate) module: Option<String>,
    pub(crate) operator: Operator,
    /// The version of its domain's operators.
    pub(crate) version: i64,
    /// The names of its inputs; empty for one that is left out.
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(String, Attribute)>,
}

impl Node {
    /// The value of a node that holds one.
    pub(crate) fn constant(&self) -> Option<&Constant> {
        if !self.operator.is("Constant") {
            return None;
        }
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(name, attribute)| match attribute {
            Attribute::Tensor(constant) if name == "value" => Some(constant),
            _ => None,
        })
    }
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) domain: String,
    pub(crate) name: String,
}

/// The domain of operators that no file has: those that take the place of several of a file's.
pub(crate) const JOINED: &str = "approx_onnx";

impl Operator {
    /// Whether it is ONNX's own of that name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.domain.is_empty() && self.name == name
    }
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
