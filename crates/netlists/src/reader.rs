//! What the readers of all languages share: bounds that are checked while a graph grows, the choice of the module that
//! is meant, and the way from a graph to a netlist.

use std::collections::HashSet;

use crate::circuit::graph::{GraphBuilder, GraphError};
use crate::circuit::signal::Signal;
use crate::error::{Location, NetlistError};
use crate::lexer::{locate, quoted};
use crate::netlist::{Netlist, Port};
use crate::options::{NetlistLimits, NetlistOptions};

/// The position of the module or function that is meant among those of these names: the one that the options ask for,
/// the only one that no other one uses, or the only one of those whose name is preferred.
pub(crate) fn choose_top(
    what: &str,
    names: &[&str],
    used: &HashSet<&str>,
    options: &NetlistOptions,
) -> Result<usize, NetlistError> {
    let unused = || (0..names.len()).filter(|&position| !used.contains(names[position]));
    let preferred = || {
        let preferred = options.preferred_top.unwrap_or(|_| false);
        unused().filter(move |&position| preferred(names[position]))
    };
    let candidates: Vec<usize> = match &options.top {
        Some(top) => (0..names.len())
            .filter(|&position| names[position] == top)
            .collect(),
        None if unused().count() > 1 && preferred().count() == 1 => preferred().collect(),
        None => unused().collect(),
    };
    if let [position] = candidates.as_slice() {
        return Ok(*position);
    }
    const SHOWN: usize = 8;
    let mut listed: Vec<String> = names.iter().take(SHOWN).map(|name| quoted(name)).collect();
    if names.len() > SHOWN {
        listed.push("...".into());
    }
    Err(NetlistError::Undetermined {
        location: Location::default(),
        missing: match &options.top {
            Some(top) => format!("it has no {what} {}", quoted(top)),
            None => format!("it is not known which {what} is meant"),
        },
        remedy: match names {
            [] => format!("there must be at least one {what}"),
            _ => format!("give the top: one of {}", listed.join(", ")),
        },
    })
}

/// The note on nets that are not driven, if there are some.
fn taken_for_zero<'a>(nets: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    const SHOWN: usize = 8;
    let count = nets.len();
    if count == 0 {
        return None;
    }
    let mut names: Vec<&str> = nets.take(SHOWN).collect();
    if count > SHOWN {
        names.push("...");
    }
    let (nets, were) = if count == 1 {
        ("net", "was")
    } else {
        ("nets", "were")
    };
    Some(format!(
        "{count} {nets} without a driver {were} taken for 0, as asked for: {}.",
        names.join(", ")
    ))
}

/// A text that is read, and how large it and what it describes may be.
pub(crate) struct Reader<'a> {
    pub text: &'a str,
    limits: NetlistLimits,
    undriven_nets_are_zero: bool,
    steps: u64,
}

impl<'a> Reader<'a> {
    /// Checks the length of the text.
    pub fn new(text: &'a str, options: &NetlistOptions) -> Result<Self, NetlistError> {
        let limits = options.limits;
        let limit = limits.bytes.min(u32::MAX as usize);
        if text.len() > limit {
            return Err(NetlistError::TooLarge {
                location: Location::default(),
                what: "bytes of the netlist",
                found: text.len() as u64,
                limit: limit as u64,
            });
        }
        Ok(Self {
            text,
            limits,
            undriven_nets_are_zero: options.undriven_nets_are_zero,
            steps: 0,
        })
    }

    /// A graph that is as large as the limits allow at most.
    pub fn graph(&self) -> GraphBuilder<'a> {
        let mut graph = GraphBuilder::new(self.limits.nodes);
        if self.undriven_nets_are_zero {
            graph.take_undriven_for_false();
        }
        graph
    }

    /// Counts steps for what is at an offset of the text, and looks whether there are too many of them or of nodes.
    pub fn spend(
        &mut self,
        steps: usize,
        graph: &GraphBuilder,
        offset: usize,
    ) -> Result<(), NetlistError> {
        self.steps = self.steps.saturating_add(steps as u64);
        let (what, found, limit) = if graph.exceeded() {
            let limit = graph.max_nodes() as u64;
            ("gates and nets", limit + 1, limit)
        } else if self.steps > self.limits.steps {
            (
                "steps of putting the circuit together",
                self.steps,
                self.limits.steps,
            )
        } else {
            return Ok(());
        };
        Err(NetlistError::TooLarge {
            location: locate(self.text, offset),
            what,
            found,
            limit,
        })
    }

    /// The netlist of a graph: the ports with their signals, lowest bits first. The graph's inputs must be in the order
    /// of the input ports.
    pub fn netlist(
        &self,
        name: &str,
        offset: usize,
        graph: &GraphBuilder,
        inputs: Vec<Port>,
        outputs: Vec<(Port, Vec<Signal>)>,
        mut notes: Vec<String>,
    ) -> Result<Netlist, NetlistError> {
        let (outputs, signals): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let (circuit, undriven) =
            graph
                .finish_with_undriven(&signals.concat())
                .map_err(|error| match error {
                    GraphError::Undriven(net) => NetlistError::UndrivenNet {
                        location: locate(self.text, net.offset),
                        net: net.name,
                    },
                    GraphError::Loop(nets) => NetlistError::CombinationalLoop {
                        location: locate(self.text, nets.first().map_or(offset, |net| net.offset)),
                        nets: nets.into_iter().map(|net| net.name).collect(),
                    },
                })?;
        notes.extend(taken_for_zero(undriven.iter().map(|net| net.name.as_str())));
        Ok(Netlist {
            name: name.to_owned(),
            location: locate(self.text, offset),
            inputs,
            outputs,
            circuit,
            notes,
            assumptions: Vec::new(),
            cells: None,
        })
    }
}
