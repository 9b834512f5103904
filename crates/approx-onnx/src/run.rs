//! Running a graph: nodes one after the other, each with the values that it names.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::call::Call;
use crate::error::{Place, Problem};
use crate::graph::{Attribute, Body, Graph, Node};
use crate::operators;
use crate::values::{Context, Value};

/// The values that are there, by name.
pub(crate) type Values = HashMap<String, Value>;

/// Runs the nodes of a graph, which must find there what it is given, and gives its outputs.
pub(crate) fn run(graph: &Graph, context: &Context, values: Values) -> Result<Vec<Value>, Place> {
    let runner = Runner { context };
    runner.body(&graph.body, values)
}

/// Every node whose operator is not covered at all, within others too.
pub(crate) fn unknown_operators(graph: &Graph) -> Vec<Place> {
    fn within(body: &Body, places: &mut Vec<Place>) {
        for node in &body.nodes {
            if !is_choice(node)
                && let Err(problem) = find(node)
            {
                places.push(place(node, problem));
            }
            for (_, attribute) in &node.attributes {
                if let Attribute::Graph(inner) = attribute {
                    within(inner, places);
                }
            }
        }
    }
    let mut places = Vec::new();
    within(&graph.body, &mut places);
    places
}

/// Whether a node is the one that holds graphs and is covered.
fn is_choice(node: &Node) -> bool {
    node.operator.is("If")
}

fn place(node: &Node, problem: Problem) -> Place {
    Place {
        operator: node.operator.to_string(),
        node: node.name.clone(),
        problem: problem.0,
    }
}

/// The function of a node's operator.
fn find(node: &Node) -> Result<operators::Function, Problem> {
    operators::find(&node.operator).ok_or_else(|| Problem::new("the operator is not covered"))
}

struct Runner<'a> {
    context: &'a Context,
}

impl Runner<'_> {
    fn body(&self, body: &Body, mut values: Values) -> Result<Vec<Value>, Place> {
        for (name, constant) in &body.constants {
            if !values.contains_key(name) {
                values.insert(name.clone(), self.context.constant(constant));
            }
        }
        let last = last_uses(body);
        for (index, node) in body.nodes.iter().enumerate() {
            let outputs = self
                .node(node, &values)
                .map_err(|problem| place(node, problem))?;
            for (name, value) in node.outputs.iter().zip(outputs) {
                if !name.is_empty() {
                    values.insert(name.clone(), value);
                }
            }
            for name in &node.inputs {
                if last.get(name.as_str()) == Some(&index) {
                    values.remove(name);
                }
            }
        }
        let outputs = body.outputs.iter().map(|output| {
            let value = values.get(&output.name).cloned();
            value.ok_or_else(|| Place {
                operator: "the graph".to_string(),
                node: output.name.clone(),
                problem: "nothing gives this output".to_string(),
            })
        });
        outputs.collect()
    }

    fn node(&self, node: &Node, values: &Values) -> Result<Vec<Value>, Problem> {
        if is_choice(node) {
            return self.choice(node, values);
        }
        let function = find(node)?;
        let inputs = node.inputs.iter().map(|name| values.get(name).cloned());
        let call = Call::new(node, node.version, self.context, inputs.collect());
        // What Burn's operations refuse, they refuse by panicking.
        let outputs = catch_unwind(AssertUnwindSafe(|| function.call(&call)))
            .unwrap_or_else(|panic| {
                let said = said(&*panic).replace('\n', " ");
                Err(Problem::new(format!(
                    "it cannot be computed on inputs of these sizes; the graph may be made for another batch or other sizes ({said})"
                )))
            })?;
        let unread = call.unread();
        match unread.is_empty() {
            true => Ok(outputs),
            false => Err(Problem::new(format!(
                "it has settings that are not covered: {}",
                unread.join(", ")
            ))),
        }
    }

    /// The one of two graphs that a condition chooses, which must be known.
    fn choice(&self, node: &Node, values: &Values) -> Result<Vec<Value>, Problem> {
        let condition = node.inputs.first().and_then(|name| values.get(name));
        let condition = condition.ok_or_else(|| Problem::new("its condition is missing"))?;
        let chosen = match self.context.read_floats(condition, "the condition")?[..] {
            [truth] if truth != 0.0 => "then_branch",
            [_] => "else_branch",
            _ => return Err(Problem::new("its condition must be one truth value")),
        };
        let branch = node.attributes.iter().find(|(name, _)| name == chosen);
        match branch {
            Some((_, Attribute::Graph(body))) => {
                let outputs = self.body(body, values.clone());
                outputs.map_err(|place| Problem::new(format!("in its {chosen}: {place}")))
            }
            _ => Err(Problem::new(format!("its {chosen} is missing"))),
        }
    }
}

/// The node that uses each value last, for values that no inner graph and no output uses.
fn last_uses(body: &Body) -> HashMap<&str, usize> {
    let mut last = HashMap::new();
    for (index, node) in body.nodes.iter().enumerate() {
        for name in &node.inputs {
            last.insert(name.as_str(), index);
        }
    }
    let has_inner = |node: &Node| {
        let mut attributes = node.attributes.iter();
        attributes.any(|(_, attribute)| matches!(attribute, Attribute::Graph(_)))
    };
    if body.nodes.iter().any(has_inner) {
        return HashMap::new();
    }
    for output in &body.outputs {
        last.remove(output.name.as_str());
    }
    last
}

/// What a panic said.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = (panic.downcast_ref::<String>().cloned())
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    text.unwrap_or_else(|| "it cannot be computed".to_string())
}
