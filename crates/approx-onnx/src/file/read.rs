//! A model's file as a graph: nodes in the order in which they can be computed, constants as data.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::DType;
use bytes::Bytes;
use onnx_ir::{
    AttributeProto, AttributeType, GraphProto, Message, ModelProto, NodeProto, ValueInfoProto,
};

use super::functions::{Function, Functions};
use super::opsets::{Opsets, domain, opsets, version_of};
use super::{guard, tensor};
use crate::error::OnnxError;
use crate::graph::{Attribute, Axis, Body, Constant, Graph, Node, Operator, ValueInfo};

/// Where a model comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    File(PathBuf),
    Bytes(Bytes),
}

impl Source {
    /// What the model is called in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes(_) => "the ONNX model".to_string(),
        }
    }

    /// The folder that data outside of the file lies in.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(path) => match path.parent() {
                Some(folder) if folder.as_os_str().is_empty() => Some(Path::new(".")),
                folder => folder,
            },
            Self::Bytes(_) => None,
        }
    }

    /// The messages of the file.
    pub(crate) fn parse(&self) -> Result<ModelProto, OnnxError> {
        let bytes = match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::File(path) => {
                let read = std::fs::read(path).map_err(|source| OnnxError::Read {
                    path: path.clone(),
                    source,
                })?;
                Bytes::from(read)
            }
        };
        let damaged = |problem| OnnxError::Damaged {
            file: self.name(),
            problem,
        };
        guard::check(&bytes).map_err(damaged)?;
        ModelProto::parse_from_tokio_bytes(&bytes).map_err(|error| damaged(error.to_string()))
    }
}

/// Reads a model as a graph.
pub(crate) fn read(source: &Source) -> Result<Graph, OnnxError> {
    let model = source.parse()?;
    read_model(&model, source.folder()).map_err(|problem| OnnxError::Damaged {
        file: source.name(),
        problem,
    })
}

fn read_model(model: &ModelProto, folder: Option<&Path>) -> Result<Graph, String> {
    let graph = model.graph.as_ref().ok_or("it has no graph")?;
    let entries = model.opset_import.iter();
    let opsets = opsets(entries.map(|entry| (entry.domain.as_str(), entry.version)));
    if opsets.is_empty() {
        return Err("it does not say which version of ONNX's operators it uses".to_string());
    }
    let functions = Functions::of(model)?;
    let reader = Reader {
        folder,
        functions: &functions,
        opsets: &opsets,
        within: Vec::new(),
    };
    Ok(Graph {
        body: reader.body(graph, &HashSet::new())?,
        version: version_of(&opsets, ""),
    })
}

/// The module that a node computes for, by what PyTorch's newer exporter writes beside it: a list of the paths of all
/// modules that it was called through, the model's own first, which is empty, and of the operator last.
fn module_of(scopes: &str) -> Option<String> {
    let scopes = scopes.strip_prefix("['")?.strip_suffix("']")?;
    let (modules, _) = scopes.rsplit_once("', '")?;
    let innermost = modules.rsplit("', '").next()?;
    (!innermost.is_empty()).then(|| innermost.to_string())
}

struct Reader<'a> {
    folder: Option<&'a Path>,
    functions: &'a Functions<'a>,
    opsets: &'a Opsets,
    /// The functions whose calls are being read.
    within: Vec<&'a Function<'a>>,
}

impl Reader<'_> {
    /// A graph, within another whose values it may use.
    fn body(&self, graph: &GraphProto, outer: &HashSet<String>) -> Result<Body, String> {
        if !graph.sparse_initializer.is_empty() {
            return Err("it has sparse weights: write them densely".to_string());
        }
        let mut constants = Vec::new();
        let mut known: HashSet<String> = outer.clone();
        for initializer in &graph.initializer {
            let data = tensor::data(initializer, self.folder)
                .map_err(|problem| format!("the weight {:?}: {problem}", initializer.name))?;
            if !known.insert(initializer.name.clone()) {
                return Err(format!(
                    "it has two values of the name {:?}",
                    initializer.name
                ));
            }
            let logical = tensor::dtype(initializer.data_type)?;
            constants.push((initializer.name.clone(), Constant::new(data, logical)));
        }
        let mut inputs = Vec::new();
        for input in &graph.input {
            // Old files list weights as inputs too.
            if constants.iter().any(|(name, _)| *name == input.name) {
                continue;
            }
            if !known.insert(input.name.clone()) {
                return Err(format!("it has two values of the name {:?}", input.name));
            }
            inputs.push(value_info(input)?);
        }
        let mut nodes = Vec::with_capacity(graph.node.len());
        self.nodes(&graph.node, &mut known, &mut nodes)?;
        let mut outputs = Vec::new();
        for output in &graph.output {
            if !known.contains(&output.name) {
                return Err(format!("nothing gives its output {:?}", output.name));
            }
            outputs.push(value_info(output)?);
        }
        if outputs.is_empty() {
            return Err("it has no outputs".to_string());
        }
        Ok(Body {
            inputs,
            outputs,
            constants,
            nodes,
        })
    }

    /// Nodes, and those that calls of functions stand for, behind others.
    fn nodes(
        &self,
        messages: &[NodeProto],
        known: &mut HashSet<String>,
        nodes: &mut Vec<Node>,
    ) -> Result<(), String> {
        for node in messages {
            if let Some(function) = self.functions.called(node) {
                let written = self.functions.write_out(node, function, &self.within)?;
                let reader = Reader {
                    folder: self.folder,
                    functions: self.functions,
                    opsets: &function.opsets,
                    within: [&self.within[..], &[function]].concat(),
                };
                reader.nodes(&written, known, nodes)?;
                continue;
            }
            let node = self.node(node, known)?;
            for input in node.inputs.iter().filter(|input| !input.is_empty()) {
                if !known.contains(input) {
                    return Err(format!(
                        "the node {:?} uses the value {input:?}, which nothing before it gives",
                        node.name
                    ));
                }
            }
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                if !known.insert(output.clone()) {
                    return Err(format!("it has two values of the name {output:?}"));
                }
            }
            nodes.push(node);
        }
        Ok(())
    }

    fn node(&self, node: &NodeProto, known: &HashSet<String>) -> Result<Node, String> {
        let name = match (node.name.as_str(), node.output.first()) {
            ("", Some(output)) => output.clone(),
            (name, _) => name.to_string(),
        };
        let mut attributes = Vec::with_capacity(node.attribute.len());
        for attribute in &node.attribute {
            let value = self.attribute(attribute, known).map_err(|problem| {
                format!(
                    "the attribute {:?} of the node {name:?}: {problem}",
                    attribute.name
                )
            })?;
            attributes.push((attribute.name.clone(), value));
        }
        let domain = domain(&node.domain);
        if domain.is_empty() && !self.opsets.contains_key("") {
            return Err(format!(
                "the node {name:?} is one of ONNX's own operators, of which version it does not say"
            ));
        }
        let mut entries = node.metadata_props.iter();
        let scopes = entries.find(|entry| entry.key == "pkg.torch.onnx.name_scopes");
        Ok(Node {
            module: scopes.and_then(|entry| module_of(&entry.value)),
            version: version_of(self.opsets, &domain),
            operator: Operator {
                domain,
                name: node.op_type.clone(),
            },
            inputs: node.input.clone(),
            outputs: node.output.clone(),
            attributes,
            name,
        })
    }

    fn attribute(
        &self,
        attribute: &AttributeProto,
        known: &HashSet<String>,
    ) -> Result<Attribute, String> {
        let text = |bytes: &Bytes| {
            String::from_utf8(bytes.to_vec()).map_err(|_| "it is no text".to_string())
        };
        if !attribute.ref_attr_name.is_empty() {
            return Err("it stands for a function's setting, but is in no function".to_string());
        }
        let kind = attribute.type_.enum_value();
        Ok(
            match kind.map_err(|number| format!("an unknown type, number {number}"))? {
                AttributeType::FLOAT => Attribute::Float(attribute.f),
                AttributeType::INT => Attribute::Int(attribute.i),
                AttributeType::STRING => Attribute::Text(text(&attribute.s)?),
                AttributeType::FLOATS => Attribute::Floats(attribute.floats.clone()),
                AttributeType::INTS => Attribute::Ints(attribute.ints.clone()),
                AttributeType::STRINGS => {
                    let texts = attribute.strings.iter().map(text);
                    Attribute::Texts(texts.collect::<Result<_, _>>()?)
                }
                AttributeType::TENSOR => {
                    let value = attribute.t.as_ref().ok_or("its tensor is missing")?;
                    let data = tensor::data(value, self.folder)?;
                    Attribute::Tensor(Constant::new(data, tensor::dtype(value.data_type)?))
                }
                AttributeType::GRAPH => {
                    let graph = attribute.g.as_ref().ok_or("its graph is missing")?;
                    Attribute::Graph(Arc::new(self.body(graph, known)?))
                }
                AttributeType::UNDEFINED => return Err("its type is missing".to_string()),
                other => return Err(format!("the type {other:?} is not covered")),
            },
        )
    }
}

/// What a file says of a value.
fn value_info(value: &ValueInfoProto) -> Result<ValueInfo, String> {
    let problem = |problem: &str| format!("the value {:?} {problem}", value.name);
    let Some(type_) = value.type_.as_ref() else {
        // Values within graphs of nodes need no types.
        return Ok(ValueInfo {
            name: value.name.clone(),
            dtype: None,
            shape: None,
        });
    };
    if !type_.has_tensor_type() {
        return Err(problem("is no tensor"));
    }
    let type_ = type_.tensor_type();
    let dtype: DType = tensor::dtype(type_.elem_type)
        .map_err(|unknown| problem(&format!("has {unknown}, which are not covered")))?;
    let mut shape = None;
    if let Some(sizes) = type_.shape.as_ref() {
        let mut axes = Vec::with_capacity(sizes.dim.len());
        for axis in &sizes.dim {
            axes.push(match axis.has_dim_value() {
                true => match usize::try_from(axis.dim_value()) {
                    Ok(size) => Axis::Fixed(size),
                    Err(_) => return Err(problem("has a negative size")),
                },
                false => Axis::Open(axis.dim_param().to_string()),
            });
        }
        shape = Some(axes);
    }
    Ok(ValueInfo {
        name: value.name.clone(),
        dtype: Some(dtype),
        shape,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_module_of_a_node_is_the_one_before_the_operator() {
        let block = "['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']";
        assert_eq!(module_of(block).unwrap(), "layer1.0.conv1");
        assert_eq!(module_of("['', 'fc', 'linear']").unwrap(), "fc");
        for none in ["['', 'add']", "['linear']", "", "fc", "[]"] {
            assert_eq!(module_of(none), None, "{none}");
        }
    }
}
