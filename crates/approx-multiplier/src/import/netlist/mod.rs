//! Netlists: circuits that the readers of C, Verilog and BLIF build, and the multipliers that they are.
//!
//! Every format becomes a graph of gates ([`graph`]). That holds for C too, although it computes with words: such sources
//! move single bits about, of which nothing remains in a graph, and one evaluation serves all formats, 64 operand pairs at
//! a time ([`circuit`]).

pub(crate) mod circuit;
mod evaluation;
pub(crate) mod graph;
mod interpretation;
pub(super) mod library;
mod ports;
pub(crate) mod vector;

use std::collections::HashSet;

use self::circuit::Circuit;
use self::graph::{GraphBuilder, GraphError, Signal};
use self::library::LibraryName;
pub(crate) use self::ports::Port;
use super::error::{ImportError, Location};
use super::lexer::{locate, quoted};
use super::{blif, c_source, verilog};
use crate::{HardwareFigures, MAX_INDEX_BITS, Multiplier, Signedness};

/// The languages of netlists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetlistFormat {
    /// A C function without branches and loops, such as those of EvoApproxLib.
    C,
    /// Structural Verilog: continuous assignments, gates, and instances of modules and standard cells.
    Verilog,
    /// The Berkeley Logic Interchange Format.
    Blif,
}

/// How large a netlist may be. What is larger is an error before it takes memory or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetlistLimits {
    /// Bytes of the text: 16 MiB unless told otherwise.
    pub bytes: usize,
    /// Gates and nets, before any of them is found superfluous: 2^20 unless told otherwise.
    pub nodes: usize,
    /// Steps of putting the circuit together, about one for each bit of an operation: 2^26 unless told otherwise. It bounds
    /// what a short text with many instances or calls of each other can ask for.
    pub steps: u64,
    /// Evaluations of the circuit, one for each gate and each pair of operands: 2^40 unless told otherwise, some seconds. It
    /// bounds the gates of a multiplier of 12 x 12 bits, or of more, to 2^16.
    pub evaluations: u64,
}

impl Default for NetlistLimits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            nodes: 1 << 20,
            steps: 1 << 26,
            evaluations: 1 << 40,
        }
    }
}

/// What a netlist does not say of itself, or says differently than it is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetlistOptions {
    /// Whether activation and weight are signed. By default it is what the file says, in its name or its declarations; where
    /// it says nothing, the reading under which the circuit is the better multiplier.
    pub signedness: Option<[Signedness; 2]>,
    /// Whether the circuit's first operand is the weight and the second one the activation.
    pub swap_operands: bool,
    /// The widths of activation and weight, for C functions whose parameters are wider than that, and to split an undivided
    /// list of inputs.
    pub bits: Option<[u8; 2]>,
    /// The module, model or function that is meant, if not the only one that no other one uses.
    pub top: Option<String>,
    /// How large the netlist may be.
    pub limits: NetlistLimits,
}

/// A circuit with named inputs and outputs.
///
/// ```
/// use approx_multiplier::import::{Netlist, NetlistFormat, NetlistOptions};
/// use approx_multiplier::{OperandFormat, ProductTable};
///
/// let text = "
///     module mul2u(input [1:0] A, input [1:0] B, output [3:0] O);
///       wire [3:0] row0 = {2'b00, A & {2{B[0]}}};
///       wire [3:0] row1 = {1'b0, A & {2{B[1]}}, 1'b0};
///       assign O = row0 + row1;
///     endmodule";
/// let options = NetlistOptions::default();
/// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &options)?;
/// let (multiplier, notes) = netlist.multiplier(&options)?;
/// let uint2 = OperandFormat::unsigned(2)?;
/// assert_eq!(multiplier.table(), Some(&ProductTable::exact(uint2, uint2)?));
/// assert!(notes[0].contains("\"A\", of 2 bits, is the activation"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Netlist {
    name: String,
    /// The module, model or function.
    location: Location,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Its inputs and outputs are those of the ports, one after the other, lowest bits first.
    circuit: Circuit,
    hardware: Option<HardwareFigures>,
    notes: Vec<String>,
}

impl Netlist {
    /// Reads a netlist.
    ///
    /// # Errors
    ///
    /// Every [`ImportError`] but [`Io`](ImportError::Io): what is wrong with the text and where, and what it would have to be.
    pub fn parse(
        text: &str,
        format: NetlistFormat,
        options: &NetlistOptions,
    ) -> Result<Self, ImportError> {
        match format {
            NetlistFormat::C => c_source::parse(text, options),
            NetlistFormat::Verilog => verilog::parse(text, options),
            NetlistFormat::Blif => blif::parse(text, options),
        }
    }

    /// The name of the module, model or function.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many gates of two inputs the circuit has, inverters not counted, without those that compute nothing or the same
    /// as others.
    pub fn gates(&self) -> usize {
        self.circuit.gates()
    }

    /// The circuit's figures, if the file has those of EvoApproxLib in its comments.
    pub fn hardware(&self) -> Option<&HardwareFigures> {
        self.hardware.as_ref()
    }

    /// The multiplier that the circuit is, with what was assumed to read it as one, for its user to see.
    ///
    /// Up to [`MAX_INDEX_BITS`](crate::MAX_INDEX_BITS) it is tabulated. Beyond that it is factorised, and its products are
    /// compared with the circuit's on random and extreme operand pairs, as one of the notes says.
    ///
    /// # Errors
    ///
    /// [`ImportError::NotAMultiplier`] if the circuit does not have two operands of 2 to 16 bits and a product,
    /// [`ImportError::Undetermined`] if their widths are not known, [`ImportError::TooLarge`] if there are too many gates for
    /// as many operand pairs, and [`ImportError::Multiplier`] if a product does not fit in 32 bits or a circuit that is too
    /// large for a table has no factors.
    pub fn multiplier(
        &self,
        options: &NetlistOptions,
    ) -> Result<(Multiplier, Vec<String>), ImportError> {
        let mut notes = self.notes.clone();
        let interpretation = interpretation::interpret(self, options, &mut notes)?;
        let gates = interpretation.circuit.gates() as u64;
        let most = options.limits.evaluations >> interpretation.index_bits().min(MAX_INDEX_BITS);
        if gates > most {
            return Err(ImportError::TooLarge {
                location: self.location.clone(),
                what: "gates of a multiplier with as many operand pairs",
                found: gates,
                limit: most,
            });
        }
        let multiplier = interpretation
            .multiplier(&self.name, &mut notes)
            .map_err(|source| ImportError::Multiplier {
                location: self.location.clone(),
                source: Box::new(source),
            })?;
        let multiplier = match options.swap_operands {
            true => multiplier.swapped(),
            false => multiplier,
        };
        let multiplier = match &self.hardware {
            Some(hardware) => multiplier.with_hardware(hardware.clone()),
            None => multiplier,
        };
        Ok((multiplier, notes))
    }
}

/// The position of the module or function that is meant among those of these names: the one that the options ask for, the
/// only one that no other one uses, or the only one of those whose name is like that of a library's multiplier.
pub(crate) fn choose_top(
    what: &str,
    names: &[&str],
    used: &HashSet<&str>,
    options: &NetlistOptions,
) -> Result<usize, ImportError> {
    let unused = || (0..names.len()).filter(|&position| !used.contains(names[position]));
    let like_a_library =
        || unused().filter(|&position| LibraryName::parse(names[position]).is_some());
    let candidates: Vec<usize> = match &options.top {
        Some(top) => (0..names.len())
            .filter(|&position| names[position] == top)
            .collect(),
        None if unused().count() > 1 && like_a_library().count() == 1 => like_a_library().collect(),
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
    Err(ImportError::Undetermined {
        location: Location::default(),
        missing: match &options.top {
            Some(top) => format!("it has no {what} {}", quoted(top)),
            None => format!("it is not known which {what} is the multiplier"),
        },
        remedy: match names {
            [] => format!("there must be at least one {what}"),
            _ => format!("give the top: one of {}", listed.join(", ")),
        },
    })
}

/// A text that is read, and how large it and what it describes may be.
pub(crate) struct Reader<'a> {
    pub text: &'a str,
    limits: NetlistLimits,
    steps: u64,
}

impl<'a> Reader<'a> {
    /// Checks the length of the text.
    pub fn new(text: &'a str, limits: NetlistLimits) -> Result<Self, ImportError> {
        let limit = limits.bytes.min(u32::MAX as usize);
        if text.len() > limit {
            return Err(ImportError::TooLarge {
                location: Location::default(),
                what: "bytes of the netlist",
                found: text.len() as u64,
                limit: limit as u64,
            });
        }
        Ok(Self {
            text,
            limits,
            steps: 0,
        })
    }

    /// A graph that is as large as the limits allow at most.
    pub fn graph(&self) -> GraphBuilder<'a> {
        GraphBuilder::new(self.limits.nodes)
    }

    /// Counts steps for what is at an offset of the text, and looks whether there are too many of them or of nodes.
    pub fn spend(
        &mut self,
        steps: usize,
        graph: &GraphBuilder,
        offset: usize,
    ) -> Result<(), ImportError> {
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
        Err(ImportError::TooLarge {
            location: locate(self.text, offset),
            what,
            found,
            limit,
        })
    }

    /// The netlist of a graph: the ports with their signals, lowest bits first. The graph's inputs must be in the order of
    /// the input ports.
    pub fn netlist(
        &self,
        name: &str,
        offset: usize,
        graph: &GraphBuilder,
        inputs: Vec<Port>,
        outputs: Vec<(Port, Vec<Signal>)>,
        notes: Vec<String>,
    ) -> Result<Netlist, ImportError> {
        let (outputs, signals): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let circuit = graph
            .finish(&signals.concat())
            .map_err(|error| match error {
                GraphError::Undriven(net) => ImportError::UndrivenNet {
                    location: locate(self.text, net.offset),
                    net: net.name,
                },
                GraphError::Loop(nets) => ImportError::CombinationalLoop {
                    location: locate(self.text, nets.first().map_or(offset, |net| net.offset)),
                    nets: nets.into_iter().map(|net| net.name).collect(),
                },
            })?;
        Ok(Netlist {
            name: name.to_owned(),
            location: locate(self.text, offset),
            inputs,
            outputs,
            circuit,
            hardware: library::hardware_figures(self.text),
            notes,
        })
    }
}
