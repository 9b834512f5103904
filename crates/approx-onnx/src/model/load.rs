//! From a graph to a model: constants that training changes become parameters, the others stay in the graph.

use std::collections::{HashMap, HashSet};

use burn::tensor::{DType, Device};

use super::names;
use super::parameters::{AnyParam, Parameter, Parameters};
use super::roles::{Role, Uses};
use crate::call::Call;
use crate::error::Problem;
use crate::graph::{Constant, Graph, Node};
use crate::operators;
use crate::values::{Context, Value};

/// What a parameter is in the file.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The value that it takes the place of in the graph.
    pub(crate) value: String,
    /// The initializer, or the output of the constant node, that holds it.
    pub(crate) stored: String,
    /// How it is stored.
    pub(crate) form: Form,
}

/// How a parameter is stored in the file.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// As it is.
    Float,
    /// As codes, with scales and zero points along an axis.
    Codes {
        scale: Vec<f64>,
        zero: Vec<f64>,
        axis: usize,
        dtype: DType,
    },
}

/// Takes the parameters out of a graph.
pub(super) fn take_parameters(
    graph: &mut Graph,
    device: &Device,
) -> Result<(Parameters, Vec<Origin>), String> {
    let context = Context::new(&Device::flex());
    let body = &mut graph.body;
    let mut found: Vec<Found> = Vec::new();
    let mut taken = HashSet::new();
    {
        let uses = Uses::new(body);
        let initializers = body
            .constants
            .iter()
            .map(|(name, constant)| (name, constant, false));
        let nodes = body
            .nodes
            .iter()
            .filter_map(|node| Some((&node.outputs[0], node.constant()?, true)));
        for (name, constant, from_node) in initializers.chain(nodes) {
            let Some((role, node)) = uses.role(name) else {
                continue;
            };
            let is_weight = matches!(role, Role::Weight(_));
            if constant.data.rank() == 0 || (from_node && !is_weight) {
                continue;
            }
            let path = match names::path_of_value(name) {
                Some(path) => path,
                None => {
                    let module = node.module.clone();
                    let module = module.unwrap_or_else(|| names::path_of_node(&node.name));
                    format!("{module}.{}", role.name())
                }
            };
            let mut add = |value: &String, form, values| {
                taken.insert(value.clone());
                let origin = Origin {
                    value: value.clone(),
                    stored: name.clone(),
                    form,
                };
                let user = body.nodes.iter().position(|own| std::ptr::eq(own, node));
                found.push(Found {
                    user,
                    origin,
                    path: path.clone(),
                    values,
                });
            };
            if constant.dtype.is_float() {
                add(name, Form::Float, constant.clone());
                continue;
            }
            // Codes of a quantiser, whose values the layer multiplies by.
            for (decoder, _) in uses.of(name) {
                if decoder.operator.name != "DequantizeLinear" {
                    continue;
                }
                let constants = &body.constants;
                let (values, form) = decode(&context, decoder, constants)
                    .map_err(|problem| format!("DequantizeLinear {:?}: {problem}", decoder.name))?;
                add(&decoder.outputs[0], form, values);
            }
        }
    }
    body.constants.retain(|(name, _)| !taken.contains(name));
    body.nodes.retain(|node| {
        !node
            .outputs
            .first()
            .is_some_and(|output| taken.contains(output))
    });
    // Layers are listed in the order in which they compute, not in that of the file's weights.
    found.sort_by_key(|found| found.user);
    let mut paths = HashMap::new();
    let mut parameters = Vec::new();
    let mut origins = Vec::new();
    for Found {
        origin,
        path,
        values,
        ..
    } in found
    {
        let path = unique(path, &mut paths);
        let rank = values.data.rank();
        let value = AnyParam::new(values.data, device).ok_or_else(|| {
            format!(
                "the weight {:?} has {rank} axes; 1 to 6 are covered",
                origin.stored
            )
        })?;
        parameters.push(Parameter {
            path: path.split('.').map(str::to_string).collect(),
            value,
            name: origin.value.clone(),
        });
        origins.push(origin);
    }
    Ok((Parameters::new(parameters), origins))
}

/// A parameter that was found in the file.
struct Found {
    /// The place of the node that uses it.
    user: Option<usize>,
    origin: Origin,
    path: String,
    values: Constant,
}

/// A path that no other parameter has, nor a module.
fn unique(path: String, paths: &mut HashMap<String, usize>) -> String {
    let path: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    let path = if path.is_empty() {
        "value".to_string()
    } else {
        path.join(".")
    };
    let count = paths.entry(path.clone()).or_insert(0);
    *count += 1;
    match *count {
        1 => path,
        count => unique(format!("{path}_{count}"), paths),
    }
}

/// The values of a node that takes codes back, whose inputs are all constants.
fn decode(
    context: &Context,
    node: &Node,
    constants: &[(String, Constant)],
) -> Result<(Constant, Form), Problem> {
    let find = |name: &String| constants.iter().find(|(own, _)| own == name);
    let inputs = node.inputs.iter().map(|name| {
        let constant = find(name);
        constant.map(|(_, constant)| context.constant(constant))
    });
    let inputs: Vec<Option<Value>> = inputs.collect();
    // The axis of scales is that of version 13, whichever it is.
    let call = Call::new(node, 13, context, inputs);
    let function =
        operators::find(&node.operator).ok_or_else(|| Problem::new("it is not covered"))?;
    let values = function.call(&call)?.remove(0);
    let codes = call.input(0)?;
    let scale = context.read_floats(call.input(1)?, "its scales")?;
    let zero = match call.optional(2) {
        Some(zero) => context.read_floats(zero, "its zero points")?,
        None => vec![0.0; scale.len()],
    };
    let axis = call.axis(call.int("axis")?.unwrap_or(1), codes.rank().max(1));
    let axis = if scale.len() == 1 { 0 } else { axis? };
    let form = Form::Codes {
        scale,
        zero,
        axis,
        dtype: codes.dtype(),
    };
    Ok((context.to_constant(&values), form))
}
