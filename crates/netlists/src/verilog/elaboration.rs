//! Puts the modules of a netlist together to one graph, instance by instance.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cells;
use super::scope::{Elaboration, Entry, Net, Scope};
use super::syntax::{
    Connections, Declaration, ExpressionId, ExpressionKind, Gate, GateFunction, Instance, Item,
    Module, Name, NetKind, Syntax,
};
use super::value::Value;
use crate::NetlistError;
use crate::circuit::graph;
use crate::circuit::signal::Signal;
use crate::circuit::vector;
use crate::lexer::{locate, quoted};
use crate::netlist::{Netlist, Port};
use crate::options::NetlistOptions;
use crate::reader::{Reader, choose_top};

/// How deep modules may be nested.
const MAX_DEPTH: usize = 64;

/// The steps that an instance counts for, besides one for each byte of its module and those of what is in it.
const INSTANCE_STEPS: usize = 64;

/// The netlist of the module that is meant.
pub(super) fn elaborate<'a>(
    reader: Reader<'a>,
    syntax: &Syntax<'a>,
    library: Option<&cells::Library<'a>>,
    options: &NetlistOptions,
) -> Result<Netlist, NetlistError> {
    let mut modules: HashMap<&str, &Module> = HashMap::new();
    let mut used = HashSet::new();
    for module in &syntax.modules {
        if modules.insert(module.name.text, module).is_some() {
            return Err(NetlistError::Unexpected {
                location: locate(reader.text, module.name.offset),
                found: format!("a second module {}", quoted(module.name.text)),
                expected: "another name".into(),
            });
        }
        used.extend(module.items.iter().filter_map(|item| match item {
            Item::Instance(instance) => Some(instance.module.text),
            _ => None,
        }));
    }
    let names: Vec<&str> = syntax
        .modules
        .iter()
        .map(|module| module.name.text)
        .collect();
    let top = &syntax.modules[choose_top("module", &names, &used, options)?];
    let graph = reader.graph();
    Elaboration {
        reader,
        graph,
        syntax,
        modules,
        library,
        cells: Some(BTreeMap::new()),
    }
    .netlist(top, &options.parameters)
}

impl<'a, 's> Elaboration<'a, 's> {
    fn netlist(
        mut self,
        top: &'s Module<'a>,
        parameters: &BTreeMap<String, i64>,
    ) -> Result<Netlist, NetlistError> {
        let value = |number: i64| Value {
            bits: vector::constant(number, 64),
            signed: true,
        };
        let parameters = parameters.iter();
        let parameters = parameters.map(|(name, number)| (name.as_str(), value(*number)));
        let mut scope = self.declared(self.syntax, top, parameters.collect(), None)?;
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        let mut notes = Vec::new();
        for port in &top.ports {
            let net = self.port(&scope, *port)?.clone();
            let description = Port {
                name: port.text.to_owned(),
                width: net.bits.len(),
                signed: net.signed,
                is_integer: false,
            };
            if net.first < net.last {
                notes.push(format!(
                    "{} is declared as [{}:{}], so that {} is the index of its lowest bit.",
                    quoted(port.text),
                    net.first,
                    net.last,
                    net.last
                ));
            }
            if net.kind == NetKind::Input {
                let declaration = declaration(&scope, *port, &net);
                let signals = self.graph.inputs(net.bits.len(), declaration);
                self.drive(&net.bits, &signals, port.offset)?;
                inputs.push(description);
            } else {
                outputs.push((description, net.bits));
            }
        }
        self.body(&mut scope, top, 0)?;
        self.reader.spend(0, &self.graph, top.name.offset)?;
        let netlist = self.reader.netlist(
            top.name.text,
            top.name.offset,
            &self.graph,
            inputs,
            outputs,
            notes,
        )?;
        let by_name = |cells: BTreeMap<&str, u64>| {
            let named = cells.into_iter();
            named
                .map(|(name, count)| (name.to_owned(), count))
                .collect()
        };
        Ok(Netlist {
            cells: self.cells.map(by_name),
            ..netlist
        })
    }

    /// The net of a port, which must be declared as one.
    fn port<'e>(&self, scope: &'e Scope<'a, '_>, port: Name<'a>) -> Result<&'e Net, NetlistError> {
        match scope.entries.get(port.text) {
            Some(Entry::Net(net)) if matches!(net.kind, NetKind::Input | NetKind::Output) => {
                Ok(net)
            }
            _ => Err(self.unexpected_at(
                scope.place(port.offset),
                format!("the port {} without a direction", quoted(port.text)),
                "a declaration of it as input or output",
            )),
        }
    }

    /// The names of a module with these parameters. Its inputs have no drivers yet.
    fn declared(
        &mut self,
        syntax: &'s Syntax<'a>,
        module: &'s Module<'a>,
        mut parameters: HashMap<&str, Value>,
        place: Option<usize>,
    ) -> Result<Scope<'a, 's>, NetlistError> {
        let mut scope = Scope {
            syntax,
            entries: HashMap::new(),
            place,
        };
        for item in &module.items {
            match item {
                Item::Parameter(parameter) => {
                    let given = match parameter.is_local {
                        true => None,
                        false => parameters.remove(parameter.name.text),
                    };
                    let value = match given {
                        Some(value) => value,
                        None => self.value(&scope, parameter.value)?,
                    };
                    if value.bits.iter().any(|bit| bit.as_constant().is_none()) {
                        return Err(self.unexpected_at(
                            scope.place(parameter.name.offset),
                            format!("the value of {}", quoted(parameter.name.text)),
                            "a constant",
                        ));
                    }
                    let entry = Entry::Parameter(value);
                    if scope.entries.insert(parameter.name.text, entry).is_some() {
                        return Err(self.declared_twice(&scope, parameter.name));
                    }
                }
                Item::Declaration(declaration) => self.declare(&mut scope, declaration)?,
                _ => {}
            }
        }
        if let Some(name) = parameters.keys().min() {
            return Err(self.unexpected_at(
                scope.place(module.name.offset),
                format!("a value for {}", quoted(name)),
                format!("values for parameters of {} only", quoted(module.name.text)),
            ));
        }
        Ok(scope)
    }

    fn declared_twice(&self, scope: &Scope<'a, '_>, name: Name) -> NetlistError {
        self.unexpected_at(
            scope.place(name.offset),
            format!("a second declaration of {}", quoted(name.text)),
            "another name",
        )
    }

    fn declare(
        &mut self,
        scope: &mut Scope<'a, 's>,
        declared: &Declaration<'a>,
    ) -> Result<(), NetlistError> {
        let (first, last, width) = match declared.range {
            Some((first, last)) => {
                let ends = (self.constant(scope, first)?, self.constant(scope, last)?);
                let width = self.range_width(scope, first, ends.0, ends.1)?;
                (ends.0, ends.1, width)
            }
            None => (0, 0, 1),
        };
        for &(name, _) in &declared.nets {
            let mut net = Net {
                bits: Vec::new(),
                first,
                last,
                signed: declared.signed,
                kind: declared.kind,
                open_is_zero: declared.open_is_zero,
                has_range: declared.range.is_some(),
            };
            if let Some(Entry::Net(port)) = scope.entries.get_mut(name.text) {
                // A port may be declared as a wire besides.
                let matches = (port.first, port.last, port.has_range)
                    == (net.first, net.last, net.has_range)
                    && matches!(port.kind, NetKind::Input | NetKind::Output)
                    && net.kind == NetKind::Wire;
                if matches {
                    port.signed |= net.signed;
                    continue;
                }
            }
            if scope.entries.contains_key(name.text) {
                return Err(self.declared_twice(scope, name));
            }
            net.bits = match declared.kind {
                NetKind::Supply(value) => vec![Signal::constant(value); width],
                _ => self.graph.nets(width, declaration(scope, name, &net)),
            };
            self.spend(scope, width, name.offset)?;
            scope.entries.insert(name.text, Entry::Net(net));
        }
        Ok(())
    }

    /// Adds what the items of a module compute.
    fn body(
        &mut self,
        scope: &mut Scope<'a, 's>,
        module: &'s Module<'a>,
        depth: usize,
    ) -> Result<(), NetlistError> {
        for item in &module.items {
            match item {
                Item::Parameter(_) => {}
                Item::Declaration(declaration) => {
                    for (name, value) in &declaration.nets {
                        let (Some(value), Some(Entry::Net(net))) =
                            (value, scope.entries.get(name.text))
                        else {
                            continue;
                        };
                        let nets = net.bits.clone();
                        let bits = self.assigned(scope, *value, nets.len())?;
                        self.drive(&nets, &bits, scope.place(name.offset))?;
                    }
                }
                Item::Assignment { target, value } => {
                    let nets = self.target(scope, *target)?;
                    let bits = self.assigned(scope, *value, nets.len())?;
                    let offset = scope.expression(*target).offset;
                    self.drive(&nets, &bits, scope.place(offset))?;
                }
                Item::Gate(gate) => self.gate(scope, gate)?,
                Item::Instance(instance) => self.instance(scope, instance, depth)?,
            }
        }
        Ok(())
    }

    fn drive(
        &mut self,
        nets: &[Signal],
        drivers: &[Signal],
        offset: usize,
    ) -> Result<(), NetlistError> {
        for (&net, &driver) in nets.iter().zip(drivers) {
            self.graph
                .drive(net, driver)
                .map_err(|net| NetlistError::DrivenTwice {
                    location: locate(self.reader.text, offset),
                    net: quoted(&net.name),
                })?;
        }
        Ok(())
    }

    /// Declares a name that is only used in the connections of gates and instances, which is a net of one bit.
    fn declare_implicitly(&mut self, scope: &mut Scope<'a, 's>, id: ExpressionId) {
        let expression = scope.expression(id);
        let ExpressionKind::Name(name) = expression.kind else {
            return;
        };
        if scope.entries.contains_key(name) {
            return;
        }
        let mut net = Net {
            bits: Vec::new(),
            first: 0,
            last: 0,
            signed: false,
            kind: NetKind::Wire,
            open_is_zero: false,
            has_range: false,
        };
        let name = Name {
            text: name,
            offset: expression.offset,
        };
        net.bits = self.graph.nets(1, declaration(scope, name, &net));
        scope.entries.insert(name.text, Entry::Net(net));
    }

    /// Something computes that is no cell, unless it is within one.
    pub(super) fn computes(&mut self, scope: &Scope) {
        if scope.place.is_none() {
            self.cells = None;
        }
    }

    fn gate(&mut self, scope: &mut Scope<'a, 's>, gate: &Gate) -> Result<(), NetlistError> {
        self.computes(scope);
        for &terminal in &gate.terminals {
            self.declare_implicitly(scope, terminal);
        }
        self.spend(scope, gate.terminals.len(), gate.offset)?;
        let (outputs, inputs) = match gate.function {
            GateFunction::Buffer { .. } => gate.terminals.split_at(gate.terminals.len() - 1),
            _ => gate.terminals.split_at(1),
        };
        let mut signals = Vec::with_capacity(inputs.len());
        for &input in inputs {
            let bits = self.value(scope, input)?.bits;
            signals.push(self.single(scope, input, &bits)?);
        }
        let graph = &mut self.graph;
        let signal = match gate.function {
            GateFunction::And { inverted } => vector::all(graph, &signals).inverted_if(inverted),
            GateFunction::Or { inverted } => vector::any(graph, &signals).inverted_if(inverted),
            GateFunction::Xor { inverted } => vector::parity(graph, &signals).inverted_if(inverted),
            GateFunction::Buffer { inverted } => signals[0].inverted_if(inverted),
        };
        for &output in outputs {
            let nets = self.target(scope, output)?;
            let net = self.single(scope, output, &nets)?;
            let offset = scope.expression(output).offset;
            self.drive(&[net], &[signal], scope.place(offset))?;
        }
        Ok(())
    }

    /// The only bit of a terminal.
    fn single(
        &self,
        scope: &Scope<'a, '_>,
        id: ExpressionId,
        bits: &[Signal],
    ) -> Result<Signal, NetlistError> {
        match bits {
            [bit] => Ok(*bit),
            // Nothing is left of nets beyond the limit, which is about to be found.
            [] => Ok(Signal::FALSE),
            bits => Err(self.unexpected(
                scope,
                id,
                format!("a terminal of {} bits", bits.len()),
                "one bit",
            )),
        }
    }

    fn instance(
        &mut self,
        scope: &mut Scope<'a, 's>,
        instance: &'s Instance<'a>,
        depth: usize,
    ) -> Result<(), NetlistError> {
        let name = instance.module;
        let place = scope.place(name.offset);
        if depth >= MAX_DEPTH {
            return Err(NetlistError::TooLarge {
                location: locate(self.reader.text, place),
                what: "levels of modules within each other",
                found: depth as u64 + 1,
                limit: MAX_DEPTH as u64,
            });
        }
        let (syntax, module, place): (&'s Syntax<'a>, &'s Module<'a>, _) = match self
            .modules
            .get(name.text)
        {
            Some(&module) => (self.syntax, module, None),
            None => match self.cell(name.text) {
                Some((syntax, module)) => (syntax, module, Some(place)),
                None => {
                    return Err(self.unexpected_at(
                            place,
                            format!("the module or cell {}", quoted(name.text)),
                            "a combinational circuit of modules that are in this file and of cells whose function is \
                             known, by their names or from a library that is given",
                        ));
                }
            },
        };
        if let (Some(_), None, Some(cells)) = (place, scope.place, &mut self.cells) {
            *cells.entry(name.text).or_default() += 1;
        }
        self.spend(scope, INSTANCE_STEPS + module.bytes, name.offset)?;
        let parameters = self.parameters(scope, instance, module)?;
        let mut inner = self.declared(syntax, module, parameters, place)?;
        let connections = self.connections(scope, instance, module)?;
        for (port, connection) in module.ports.iter().zip(connections) {
            let net = self.port(&inner, *port)?.clone();
            let Some(connection) = connection else {
                if net.open_is_zero {
                    let zeros = vec![Signal::FALSE; net.bits.len()];
                    self.drive(&net.bits, &zeros, scope.place(name.offset))?;
                }
                continue;
            };
            self.declare_implicitly(scope, connection);
            let place = scope.place(scope.expression(connection).offset);
            if net.kind == NetKind::Input {
                let bits = self.assigned(scope, connection, net.bits.len())?;
                self.drive(&net.bits, &bits, place)?;
            } else {
                let nets = self.target(scope, connection)?;
                let bits = vector::resized(&net.bits, nets.len(), net.signed);
                self.drive(&nets, &bits, place)?;
            }
        }
        self.body(&mut inner, module, depth + 1)
    }

    /// The user's cell of a name, or the known one.
    fn cell(&self, name: &str) -> Option<(&'s Syntax<'a>, &'s Module<'a>)> {
        let own = self.library.and_then(|library| library.find(name));
        own.or_else(|| cells::find(name))
    }

    /// The values that an instance gives to parameters.
    fn parameters(
        &mut self,
        scope: &Scope<'a, 's>,
        instance: &'s Instance<'a>,
        module: &'s Module<'a>,
    ) -> Result<HashMap<&'a str, Value>, NetlistError> {
        let mut values = HashMap::new();
        let mut add = |this: &mut Self, name: &'a str, value: Option<ExpressionId>| {
            if let Some(value) = value {
                values.insert(name, this.value(scope, value)?);
            }
            Ok::<_, NetlistError>(())
        };
        match &instance.parameters {
            Connections::Named(named) => {
                for (name, value) in named {
                    add(self, name.text, *value)?;
                }
            }
            Connections::Positional(positional) => {
                let names: Vec<&str> = module
                    .items
                    .iter()
                    .filter_map(|item| match item {
                        Item::Parameter(parameter) if !parameter.is_local => {
                            Some(parameter.name.text)
                        }
                        _ => None,
                    })
                    .collect();
                if positional.len() > names.len() {
                    return Err(self.unexpected_at(
                        scope.place(instance.module.offset),
                        format!("{} values of parameters", positional.len()),
                        format!("at most {}", names.len()),
                    ));
                }
                for (name, value) in names.into_iter().zip(positional) {
                    add(self, name, *value)?;
                }
            }
        }
        Ok(values)
    }

    /// What an instance connects to each port of its module.
    fn connections(
        &self,
        scope: &Scope<'a, 's>,
        instance: &'s Instance<'a>,
        module: &'s Module<'a>,
    ) -> Result<Vec<Option<ExpressionId>>, NetlistError> {
        let count = module.ports.len();
        let names = || -> String {
            let names: Vec<&str> = module.ports.iter().map(|port| port.text).collect();
            format!(
                "the ports {} of {}",
                names.join(", "),
                quoted(module.name.text)
            )
        };
        match &instance.connections {
            Connections::Positional(connections) if connections.len() <= count => {
                let mut connections = connections.clone();
                connections.resize(count, None);
                Ok(connections)
            }
            Connections::Positional(connections) => Err(self.unexpected_at(
                scope.place(instance.module.offset),
                format!("{} connections", connections.len()),
                names(),
            )),
            Connections::Named(named) => {
                let positions: HashMap<&str, usize> = module
                    .ports
                    .iter()
                    .enumerate()
                    .map(|(position, port)| (port.text, position))
                    .collect();
                let mut seen = HashSet::new();
                let mut connections = vec![None; count];
                for (name, connection) in named {
                    match positions.get(name.text) {
                        Some(&position) if seen.insert(position) => {
                            connections[position] = *connection;
                        }
                        _ => {
                            return Err(self.unexpected_at(
                                scope.place(name.offset),
                                format!("a connection of {}", quoted(name.text)),
                                format!("one for each of {}", names()),
                            ));
                        }
                    }
                }
                Ok(connections)
            }
        }
    }
}

/// How error messages call the bits of a net.
fn declaration<'a>(scope: &Scope<'a, '_>, name: Name<'a>, net: &Net) -> graph::Declaration<'a> {
    graph::Declaration {
        name: name.text,
        offset: scope.place(name.offset),
        index: net.has_range.then_some((net.last, net.first >= net.last)),
    }
}
