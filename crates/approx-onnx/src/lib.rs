//! ONNX files as Burn models, at run time and without generated code.
//!
//! [`OnnxModel::load`] gives a Burn module whose parameters carry the file's names and whose forward pass is the file's
//! graph. [`OnnxModel::capture`] makes of it a model whose layers [`burn_approx::convert()`] puts on approximate
//! multipliers, as it does with any other.
//!
//! Rooms, from the ground up: `graph` is a model as it is read, `file` reads it, `values` are tensors while it runs,
//! `call` is one node at work, `operators` are what nodes compute, `run` goes through a graph, `model` is the module.
//!
//! Design: the messages of a file are read with the bindings of `onnx-ir`, Burn's own parser, but not its typed graph.
//! That graph serves generated code: it has no names for weights, fuses attention into one operation, knows foreign
//! domains from the outside alone, and panics where a file is not as it should be. Here a forward pass runs anyway, at
//! the sizes of an example, so no shapes need to be inferred: each operator is a function of tensors, and an operator,
//! a setting or a form that it does not know is an error that names the node.

mod call;
mod error;
mod file;
mod graph;
mod model;
mod operators;
mod run;
mod values;

pub use error::{OnnxError, Place};
pub use file::read_tensor;
pub use model::{
    FileCodes, OnnxLayerQuantizers, OnnxModel, OnnxQuantizer, OnnxValue, set_file_quantizers,
};
