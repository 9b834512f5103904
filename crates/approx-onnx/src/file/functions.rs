//! Functions that a file defines for itself, written out in every place that calls them.

use std::cell::Cell;
use std::collections::HashMap;

use onnx_ir::{AttributeProto, GraphProto, Message, ModelProto, NodeProto};

use super::guard;
use super::opsets::{Opsets, domain, opsets};

/// How deep functions may call each other.
const DEEPEST: usize = 60;

/// The functions of a file.
pub(super) struct Functions<'a> {
    by_name: HashMap<Name, Function<'a>>,
    /// The memory that nodes of functions may still take: a few that call each other twice could ask for all there is.
    left: Cell<u64>,
    /// How many calls were written out, so that each has names of its own.
    calls: Cell<usize>,
}

/// Domain, name, and which one of several of that name.
type Name = (String, String, String);

/// A function of a file.
pub(super) struct Function<'a> {
    name: &'a str,
    inputs: &'a [String],
    outputs: &'a [String],
    /// The settings that it takes and that have no default.
    settings: &'a [String],
    defaults: &'a [AttributeProto],
    nodes: &'a [NodeProto],
    /// The versions of the operators in it.
    pub(super) opsets: Opsets,
}

impl<'a> Functions<'a> {
    pub(super) fn of(model: &'a ModelProto) -> Result<Self, String> {
        let mut by_name = HashMap::new();
        for function in &model.functions {
            let name = (
                domain(&function.domain),
                function.name.clone(),
                function.overload.clone(),
            );
            let own = Function {
                name: &function.name,
                inputs: &function.input,
                outputs: &function.output,
                settings: &function.attribute,
                defaults: &function.attribute_proto,
                nodes: &function.node,
                opsets: opsets(
                    function
                        .opset_import
                        .iter()
                        .map(|entry| (entry.domain.as_str(), entry.version)),
                ),
            };
            if by_name.insert(name, own).is_some() {
                return Err(format!(
                    "it has two functions of the name {:?}",
                    function.name
                ));
            }
        }
        Ok(Self {
            by_name,
            left: Cell::new(guard::allowed(model.compute_size())),
            calls: Cell::new(0),
        })
    }

    /// The function that a node calls, if it calls one.
    pub(super) fn called(&self, node: &NodeProto) -> Option<&Function<'a>> {
        // Most files have none.
        if self.by_name.is_empty() {
            return None;
        }
        let name = (
            domain(&node.domain),
            node.op_type.clone(),
            node.overload.clone(),
        );
        self.by_name.get(&name)
    }

    /// The nodes that a call of a function stands for, within calls of other ones.
    pub(super) fn write_out(
        &self,
        call: &NodeProto,
        function: &Function<'_>,
        within: &[&Function<'_>],
    ) -> Result<Vec<NodeProto>, String> {
        let problem = |problem: String| {
            format!(
                "the node {:?} calls the function {:?}, {problem}",
                call.name, function.name
            )
        };
        if within.iter().any(|outer| std::ptr::eq(*outer, function)) {
            return Err(problem("which calls itself".to_string()));
        }
        if within.len() >= DEEPEST {
            return Err(problem(format!("more than {DEEPEST} deep in others")));
        }
        // Two colons tell that a name was made up.
        self.calls.set(self.calls.get() + 1);
        let prefix = format!("{}::{}::", function.name, self.calls.get());
        let body = Written::new(call, function, prefix).map_err(problem)?;
        let mut nodes = Vec::with_capacity(function.nodes.len());
        for node in function.nodes {
            let mut node = node.clone();
            if !node.name.is_empty() && !call.name.is_empty() {
                node.name = format!("{}/{}", call.name, node.name);
            }
            body.rewrite(&mut node);
            let taken = guard::node(node.compute_size());
            let left = self.left.get().checked_sub(taken);
            let left = left.ok_or_else(|| {
                problem("whose nodes would take more memory than the file justifies".to_string())
            })?;
            self.left.set(left);
            nodes.push(node);
        }
        nodes.extend(body.passed_on);
        Ok(nodes)
    }
}

/// One call of a function: what its names stand for.
struct Written<'a> {
    /// The values of the caller that names within the function stand for.
    values: HashMap<&'a str, &'a str>,
    /// What is put before all other names.
    prefix: String,
    settings: HashMap<&'a str, &'a AttributeProto>,
    /// Inputs that are given back as they are, and outputs that are given twice.
    passed_on: Vec<NodeProto>,
}

impl<'a> Written<'a> {
    fn new(
        call: &'a NodeProto,
        function: &'a Function<'_>,
        prefix: String,
    ) -> Result<Self, String> {
        for (kind, given, taken) in [
            ("inputs", call.input.len(), function.inputs.len()),
            ("outputs", call.output.len(), function.outputs.len()),
        ] {
            if given > taken {
                return Err(format!("with {given} {kind}, but it has {taken}"));
            }
        }
        let mut settings = HashMap::new();
        for attribute in function.defaults {
            settings.insert(attribute.name.as_str(), attribute);
        }
        for attribute in &call.attribute {
            let name = attribute.name.as_str();
            if !settings.contains_key(name) && !function.settings.iter().any(|own| own == name) {
                return Err(format!("which has no setting {name:?}"));
            }
            settings.insert(name, attribute);
        }
        let mut values = HashMap::new();
        for (index, name) in function.inputs.iter().enumerate() {
            let given = call.input.get(index).map_or("", String::as_str);
            if values.insert(name.as_str(), given).is_some() {
                return Err(format!("which has two inputs of the name {name:?}"));
            }
        }
        let mut written = Self {
            values,
            prefix,
            settings,
            passed_on: Vec::new(),
        };
        for (inner, outer) in function.outputs.iter().zip(&call.output) {
            if outer.is_empty() {
                continue;
            }
            match written.values.get(inner.as_str()) {
                None => {
                    written.values.insert(inner, outer);
                }
                Some(value) => {
                    let mut node = NodeProto::new();
                    node.op_type = "Identity".to_string();
                    node.input = vec![value.to_string()];
                    node.output = vec![outer.clone()];
                    written.passed_on.push(node);
                }
            }
        }
        Ok(written)
    }

    fn rename(&self, name: &mut String) {
        match self.values.get(name.as_str()) {
            _ if name.is_empty() => {}
            Some(value) => *name = value.to_string(),
            None => name.insert_str(0, &self.prefix),
        }
    }

    fn rewrite(&self, node: &mut NodeProto) {
        for name in node.input.iter_mut().chain(&mut node.output) {
            self.rename(name);
        }
        let mut attributes = Vec::with_capacity(node.attribute.len());
        for mut attribute in node.attribute.drain(..) {
            if attribute.ref_attr_name.is_empty() {
                if let Some(graph) = attribute.g.as_mut() {
                    self.rewrite_graph(graph);
                }
                attributes.push(attribute);
            } else if let Some(given) = self.settings.get(attribute.ref_attr_name.as_str()) {
                // Names within what the caller gives are the caller's.
                let mut given = (*given).clone();
                given.name = attribute.name;
                attributes.push(given);
            }
            // A setting that neither the caller nor the function gives is left out.
        }
        node.attribute = attributes;
    }

    fn rewrite_graph(&self, graph: &mut GraphProto) {
        for tensor in &mut graph.initializer {
            self.rename(&mut tensor.name);
        }
        for value in graph.input.iter_mut().chain(&mut graph.output) {
            self.rename(&mut value.name);
        }
        for node in &mut graph.node {
            self.rewrite(node);
        }
    }
}
