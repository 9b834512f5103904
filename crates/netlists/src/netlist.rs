//! Netlists: circuits with a name, and with inputs and outputs that are put together to ports.

use std::collections::BTreeMap;

use crate::circuit::Circuit;
use crate::error::Location;

/// An input or output port of a netlist.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// The name that the file gives it; `the returned value` for that of a C function.
    pub name: String,
    /// How many bits it has.
    pub width: usize,
    /// Whether the file declares its numbers as signed. That it does not may mean nothing: bits are bits.
    pub signed: bool,
    /// Whether it is a C integer, which may be wider than the number in it.
    pub is_integer: bool,
}

impl Port {
    /// A port of bits that are no number of a signed type: `width` of them.
    ///
    /// ```
    /// use approx_netlists::Port;
    ///
    /// let port = Port::new("a", 8);
    /// assert!(port.width == 8 && !port.signed && !port.is_integer);
    /// ```
    pub fn new(name: impl Into<String>, width: usize) -> Self {
        Self {
            name: name.into(),
            width,
            signed: false,
            is_integer: false,
        }
    }
}

/// A circuit with named inputs and outputs, read from a text by [`Netlist::parse`].
///
/// ```
/// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
///
/// let text = "
///     module product(input [1:0] a, input [1:0] b, output [3:0] o);
///       wire [3:0] row0 = {2'b00, a & {2{b[0]}}};
///       wire [3:0] row1 = {1'b0, a & {2{b[1]}}, 1'b0};
///       assign o = row0 + row1;
///     endmodule";
/// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
/// assert_eq!(netlist.name(), "product");
/// let widths: Vec<_> = netlist.inputs().iter().map(|port| (port.name.as_str(), port.width)).collect();
/// assert_eq!(widths, [("a", 2), ("b", 2)]);
/// for a in 0..4 {
///     for b in 0..4 {
///         assert_eq!(netlist.circuit().evaluate(a | b << 2)?, a * b);
///     }
/// }
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Netlist {
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) circuit: Circuit,
    pub(crate) notes: Vec<String>,
    pub(crate) assumptions: Vec<String>,
    pub(crate) cells: Option<BTreeMap<String, u64>>,
}

impl Netlist {
    /// The name of the module, model or function.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the module, model or function is in the text.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The input ports, in the order of the file.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The output ports, in the order of the file.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The circuit. Its inputs and outputs are those of the ports, one after the other, lowest bits first.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// How many of each standard cell the circuit has, by their names in the text; `None` unless it is made of nothing
    /// but cells and wires, as only Verilog can say.
    ///
    /// ```
    /// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
    ///
    /// let cells = |text| {
    ///     let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
    ///     Ok::<_, approx_netlists::NetlistError>(netlist.cells().cloned())
    /// };
    /// let inverted = "module m(input a, b, output o); wire n; NAND2_X1 u1(a, b, n); INV_X1 u2(n, o); endmodule";
    /// assert_eq!(cells(inverted)?, Some([("INV_X1".into(), 1), ("NAND2_X1".into(), 1)].into()));
    /// assert_eq!(cells("module m(input a, b, output o); assign o = a & b; endmodule")?, None);
    /// # Ok::<(), approx_netlists::NetlistError>(())
    /// ```
    pub fn cells(&self) -> Option<&BTreeMap<String, u64>> {
        self.cells.as_ref()
    }

    /// What is unusual in the text and should be looked at, in whole sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the text or its language leaves open, and what was taken for it, in whole sentences.
    ///
    /// ```
    /// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
    ///
    /// let text = "uint8_t f(uint8_t a, uint8_t b) { return a << b; }";
    /// let netlist = Netlist::parse(text, NetlistFormat::C, &NetlistOptions::default())?;
    /// assert!(netlist.assumptions()[0].contains("C does not say what a shift"));
    /// # Ok::<(), approx_netlists::NetlistError>(())
    /// ```
    pub fn assumptions(&self) -> &[String] {
        &self.assumptions
    }
}
