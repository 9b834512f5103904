//! The Berkeley Logic Interchange Format: models of truth tables (`.names`) and of each other (`.subckt`). Latches and
//! all else that has a state is refused.

mod parser;

use std::collections::{HashMap, HashSet};

use self::parser::Parser;
use crate::NetlistError;
use crate::circuit::graph::{Declaration, GraphBuilder};
use crate::circuit::signal::Signal;
use crate::lexer::{locate, quoted};
use crate::netlist::{Netlist, Port};
use crate::options::NetlistOptions;
use crate::reader::Reader;

/// How deep models may be nested.
const MAX_DEPTH: usize = 64;

/// Names that are constants where nothing drives them, with their values. Yosys writes so; what is not defined may have
/// any value, and ABC takes 0.
const CONSTANTS: [(&str, bool); 3] = [("$false", false), ("$true", true), (UNDEFINED, false)];

/// The name of what may have any value.
const UNDEFINED: &str = "$undef";

/// A name or another word and where it is.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    text: &'a str,
    offset: usize,
}

struct Model<'a> {
    name: Word<'a>,
    /// The length of its text.
    bytes: usize,
    inputs: Vec<Word<'a>>,
    outputs: Vec<Word<'a>>,
    commands: Vec<Command<'a>>,
}

enum Command<'a> {
    /// A truth table: for which inputs the output is true, or false if `inverted`.
    Table {
        inputs: Vec<Word<'a>>,
        output: Word<'a>,
        rows: Vec<Word<'a>>,
        inverted: bool,
    },
    /// Another model, with pairs of its signals and this one's.
    Instance {
        model: Word<'a>,
        connections: Vec<(Word<'a>, Word<'a>)>,
    },
    /// One signal drives another one.
    Connection { from: Word<'a>, to: Word<'a> },
}

/// Reads the model that the options ask for, or the first one: that is the main model of a file.
pub(crate) fn parse(text: &str, options: &NetlistOptions) -> Result<Netlist, NetlistError> {
    let reader = Reader::new(text, options)?;
    let models = Parser::new(text).models()?;
    let top = match &options.top {
        Some(top) => models.iter().find(|model| model.name.text == top),
        None => models.first(),
    };
    let Some(top) = top else {
        let expected = match &options.top {
            Some(top) => format!("the model {top:?}"),
            None => "a model".into(),
        };
        return Err(unexpected(
            text,
            text.len(),
            "the end of the text",
            expected,
        ));
    };
    let mut by_name = HashMap::new();
    for model in &models {
        if by_name.insert(model.name.text, model).is_some() {
            let found = format!("a second model {}", quoted(model.name.text));
            return Err(unexpected(text, model.name.offset, found, "another name"));
        }
    }
    let graph = reader.graph();
    let mut elaboration = Elaboration {
        reader,
        graph,
        models: by_name,
        takes_undefined: false,
    };
    let port = |word: &Word| Port::new(word.text, 1);
    let inputs: Vec<Signal> = top
        .inputs
        .iter()
        .flat_map(|&word| elaboration.graph.inputs(1, declaration(word)))
        .collect();
    let outputs = elaboration.model(top, &inputs, 0)?;
    let Elaboration {
        mut reader,
        graph,
        takes_undefined,
        ..
    } = elaboration;
    reader.spend(0, &graph, top.name.offset)?;
    let outputs = top
        .outputs
        .iter()
        .zip(outputs)
        .map(|(word, signal)| (port(word), vec![signal]))
        .collect();
    let netlist = reader.netlist(
        top.name.text,
        top.name.offset,
        &graph,
        top.inputs.iter().map(port).collect(),
        outputs,
        Vec::new(),
    )?;
    let assumption = || {
        format!("{UNDEFINED}, which may have any value, was taken for 0: define it for another.")
    };
    Ok(Netlist {
        assumptions: takes_undefined.then(assumption).into_iter().collect(),
        ..netlist
    })
}

fn declaration(word: Word<'_>) -> Declaration<'_> {
    Declaration {
        name: word.text,
        offset: word.offset,
        index: None,
    }
}

fn unexpected(
    text: &str,
    offset: usize,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> NetlistError {
    NetlistError::Unexpected {
        location: locate(text, offset),
        found: found.into(),
        expected: expected.into(),
    }
}

/// Builds the graph of a model and of those in it.
struct Elaboration<'a, 'm> {
    reader: Reader<'a>,
    graph: GraphBuilder<'a>,
    models: HashMap<&'a str, &'m Model<'a>>,
    /// Whether a value was taken for what may have any.
    takes_undefined: bool,
}

impl<'a> Elaboration<'a, '_> {
    /// The outputs of a model with these inputs.
    fn model(
        &mut self,
        model: &Model<'a>,
        inputs: &[Signal],
        depth: usize,
    ) -> Result<Vec<Signal>, NetlistError> {
        let text = self.reader.text;
        if depth > MAX_DEPTH {
            return Err(NetlistError::TooLarge {
                location: locate(text, model.name.offset),
                what: "levels of models within each other",
                found: depth as u64,
                limit: MAX_DEPTH as u64,
            });
        }
        let mut scope: HashMap<&str, Signal> = HashMap::new();
        for (word, &signal) in model.inputs.iter().zip(inputs) {
            if scope.insert(word.text, signal).is_some() {
                let found = format!("a second input {}", quoted(word.text));
                return Err(unexpected(text, word.offset, found, "another name"));
            }
        }
        for command in &model.commands {
            match command {
                Command::Table {
                    inputs,
                    output,
                    rows,
                    inverted,
                } => {
                    let signals: Vec<Signal> = inputs
                        .iter()
                        .map(|&word| self.signal(&mut scope, word))
                        .collect();
                    let literals = (1 + inputs.len()) * (1 + rows.len());
                    self.reader.spend(literals, &self.graph, output.offset)?;
                    let mut any = Signal::FALSE;
                    for row in rows {
                        let mut all = Signal::TRUE;
                        for (&signal, bit) in signals.iter().zip(row.text.bytes()) {
                            if bit != b'-' {
                                all = self.graph.and(all, signal.inverted_if(bit == b'0'));
                            }
                        }
                        any = self.graph.or(any, all);
                    }
                    self.drive(&mut scope, *output, any.inverted_if(*inverted))?;
                }
                Command::Connection { from, to } => {
                    self.reader.spend(1, &self.graph, to.offset)?;
                    let signal = self.signal(&mut scope, *from);
                    self.drive(&mut scope, *to, signal)?;
                }
                Command::Instance { model, connections } => {
                    self.instance(&mut scope, *model, connections, depth)?;
                }
            }
        }
        let outputs = model
            .outputs
            .iter()
            .map(|&word| self.signal(&mut scope, word))
            .collect();
        self.drive_constants(model, &scope);
        Ok(outputs)
    }

    /// Drives what is named like a constant and has no driver of its own.
    fn drive_constants(&mut self, model: &Model<'a>, scope: &HashMap<&'a str, Signal>) {
        for (name, value) in CONSTANTS {
            let is_input = model.inputs.iter().any(|input| input.text == name);
            if let (false, Some(&net)) = (is_input, scope.get(name)) {
                // A net that has a driver keeps it.
                let is_driven = self.graph.drive(net, Signal::constant(value)).is_ok();
                self.takes_undefined |= is_driven && name == UNDEFINED;
            }
        }
    }

    fn instance(
        &mut self,
        scope: &mut HashMap<&'a str, Signal>,
        name: Word<'a>,
        connections: &[(Word<'a>, Word<'a>)],
        depth: usize,
    ) -> Result<(), NetlistError> {
        let text = self.reader.text;
        let Some(&model) = self.models.get(name.text) else {
            return Err(unexpected(
                text,
                name.offset,
                format!("the model {}", quoted(name.text)),
                "the name of a model in this file",
            ));
        };
        let ports: HashSet<&str> = model
            .inputs
            .iter()
            .chain(&model.outputs)
            .map(|port| port.text)
            .collect();
        self.reader
            .spend(connections.len() + model.bytes, &self.graph, name.offset)?;
        let mut actual: HashMap<&str, Word> = HashMap::new();
        for (formal, connected) in connections {
            if !ports.contains(formal.text) || actual.insert(formal.text, *connected).is_some() {
                return Err(unexpected(
                    text,
                    formal.offset,
                    quoted(formal.text),
                    format!(
                        "an input or output of {} that is not connected yet",
                        quoted(name.text)
                    ),
                ));
            }
        }
        let inputs = model
            .inputs
            .iter()
            .map(|port| match actual.get(port.text) {
                Some(&connected) => Ok(self.signal(scope, connected)),
                None => Err(unexpected(
                    text,
                    name.offset,
                    format!("no connection of the input {}", quoted(port.text)),
                    "one for each input",
                )),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = self.model(model, &inputs, depth + 1)?;
        for (port, signal) in model.outputs.iter().zip(outputs) {
            if let Some(&connected) = actual.get(port.text) {
                self.drive(scope, connected, signal)?;
            }
        }
        Ok(())
    }

    /// The signal of a name, a net without a driver if it is a new one.
    fn signal(&mut self, scope: &mut HashMap<&'a str, Signal>, word: Word<'a>) -> Signal {
        if let Some(&signal) = scope.get(word.text) {
            return signal;
        }
        let signal = self
            .graph
            .nets(1, declaration(word))
            .first()
            .copied()
            .unwrap_or(Signal::FALSE);
        scope.insert(word.text, signal);
        signal
    }

    fn drive(
        &mut self,
        scope: &mut HashMap<&'a str, Signal>,
        word: Word<'a>,
        driver: Signal,
    ) -> Result<(), NetlistError> {
        let net = self.signal(scope, word);
        self.graph
            .drive(net, driver)
            .map_err(|_| NetlistError::DrivenTwice {
                location: locate(self.reader.text, word.offset),
                net: quoted(word.text),
            })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::Position;

    fn read(text: &str) -> Result<Netlist, NetlistError> {
        parse(text, &NetlistOptions::default())
    }

    /// The outputs of a model of two operands of two bits, put together by the digit that ends their names.
    fn product(netlist: &Netlist, a: i64, b: i64) -> i64 {
        let bits = netlist.circuit().evaluate((a | b << 2).cast_unsigned());
        let bits = bits.unwrap().cast_signed();
        let place = |(position, port): (usize, &Port)| {
            let index: u32 = port.name[1..].parse().unwrap();
            (bits >> position & 1) << index
        };
        netlist.outputs().iter().enumerate().map(place).sum()
    }

    /// A model of two operands of two bits with these commands.
    fn model(commands: &str) -> Netlist {
        let text = format!(
            "# before the model\n.model m\n.inputs a0 a1 \\\n  b0 b1 # and so on\n.outputs o1 o0\n{commands}\n.end\n"
        );
        read(&text).unwrap_or_else(|error| panic!("{commands}: {error}"))
    }

    #[rstest]
    #[case("1-01 1\n0--- 1", |a, b| a & 1 == 0 || (a & 1 == 1 && b == 2))]
    #[case("1111 0\n-000 0", |a, b| !(a == 3 && b == 3 || a & 2 == 0 && b == 0))]
    #[case("", |_, _| false)]
    #[case("---- 1", |_, _| true)]
    #[case("---- 0", |_, _| false)]
    fn covers_have_the_meaning_of_the_format(
        #[case] cover: &str,
        #[case] expected: fn(i64, i64) -> bool,
    ) {
        let commands = format!(".names a0 a1 b0 b1 o0\n{cover}\n.names o1");
        let netlist = model(&commands);
        for a in 0..4 {
            for b in 0..4 {
                let found = product(&netlist, a, b);
                assert_eq!(found, expected(a, b).into(), "{cover:?}: {a}, {b}");
            }
        }
    }

    #[rstest]
    #[case(".names o0\n1\n.names o1", 1)]
    #[case(".names o0\n0\n.names o1\n 1 ", 2)]
    #[case(".conn a1 x\n.area 3\n.names x o0\n1 1\n.conn b0 o1", 3)]
    fn constants_and_connections_are_read(#[case] commands: &str, #[case] expected: i64) {
        assert_eq!(product(&model(commands), 2, 1), expected);
    }

    #[rstest]
    #[case(".names $true o0\n1 1\n.names $false o1\n1 1", 1)]
    #[case(".names a0 $true o0\n11 1\n.names $undef o1\n0 1", 2)]
    // Defined, they are nets like others.
    #[case(
        ".names $true o0\n1 1\n.names $true\n0\n.names $false o1\n1 1\n.names $false\n1",
        2
    )]
    #[case(
        ".subckt n $false=a1 out=o1\n.names o0\n.end\n.model n\n.inputs $false\n.outputs out\n.names $false out\n1 1",
        2
    )]
    fn names_of_constants_need_no_definition(#[case] commands: &str, #[case] expected: i64) {
        let netlist = model(commands);
        assert_eq!(product(&netlist, 2, 1), expected, "{commands}");
        let takes_undefined = commands.contains("$undef");
        assert_eq!(netlist.assumptions().len(), usize::from(takes_undefined));
    }

    #[test]
    fn other_nets_are_zero_only_if_asked_for() {
        let text = ".model m\n.inputs a0 a1 b0 b1\n.outputs o0\n.names a0 x y o0\n100 1\n.end";
        assert!(matches!(read(text), Err(NetlistError::UndrivenNet { .. })));
        let options = NetlistOptions {
            undriven_nets_are_zero: true,
            ..NetlistOptions::default()
        };
        let netlist = parse(text, &options).unwrap();
        assert_eq!(product(&netlist, 1, 0), 1);
        let note = "2 nets without a driver were taken for 0, as asked for: x, y.";
        assert_eq!(netlist.notes(), [note]);
    }

    #[test]
    fn the_first_model_is_the_main_one() {
        let text = "
            .model main
            .inputs a0 a1 b0 b1
            .outputs o0
            .subckt pair x=a0 y=b1 both=n
            .subckt pair y=n x=a1 both=o0 either=unused
            .end
            .model pair
            .inputs x y
            .outputs both either
            .names x y both
            11 1
            .names x y either
            00 0
            .end";
        let netlist = read(text).unwrap();
        assert_eq!(netlist.name(), "main");
        assert_eq!(product(&netlist, 3, 2), 1);
        assert_eq!(product(&netlist, 3, 1), 0);
    }

    #[rstest]
    #[case(".inputs a", (1, 1), "\".model\"")]
    #[case(".model m\n.inputs a0 a1 b0 b1\n.latch a0 o re clk 0", (3, 1), "the latch")]
    #[case(".model m\n.exdc", (2, 1), "\".exdc\"")]
    #[case(".model m\n.names a b\n1x 1", (3, 1), "for each of 1 inputs")]
    #[case(".model m\n.names a b\n1 2", (3, 3), "0 or 1")]
    #[case(".model m\n.names a b\n1 1\n0 0", (4, 3), "the same value")]
    #[case(".model m\n.names a b\n1 1 1", (3, 1), "3 words")]
    #[case(".model m\n.names", (2, 1), "without a name")]
    #[case(".model m\n.subckt n a=b", (2, 9), "the model \"n\"")]
    #[case(".model m\n.subckt n a\n.end", (2, 11), "a connection")]
    #[case(".model m\n.subckt n b=a\n.end\n.model n\n.inputs a\n.end", (2, 11), "an input or output of")]
    #[case(".model m\n.subckt n\n.end\n.model n\n.inputs a\n.end", (2, 9), "no connection of the input")]
    #[case(".model m\n.end\n.model m\n.end", (3, 8), "a second model")]
    #[case("", (1, 1), "a model")]
    fn other_texts_are_refused_with_their_place(
        #[case] text: &str,
        #[case] (line, column): (usize, usize),
        #[case] expected: &str,
    ) {
        let error = read(text).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let position = error.location().unwrap().position;
        assert_eq!(position, Some(Position { line, column }), "{error}");
    }
}
