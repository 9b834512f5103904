//! The languages of netlists, and the way from a text in one of them to a netlist.

use crate::{Netlist, NetlistError, NetlistOptions, blif, c_source, verilog};

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

impl Netlist {
    /// Reads a netlist.
    ///
    /// ```
    /// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
    ///
    /// let text = ".model m\n.inputs a b\n.outputs o\n.names a b o\n10 1\n.end";
    /// let netlist = Netlist::parse(text, NetlistFormat::Blif, &NetlistOptions::default())?;
    /// assert_eq!([0, 1, 2, 3].map(|inputs| netlist.circuit().evaluate(inputs).unwrap()), [0, 1, 0, 0]);
    /// # Ok::<(), approx_netlists::NetlistError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever [`NetlistError`] lists but [`NetlistError::TooManyPorts`]: what is wrong with the text and where, and
    /// what it would have to be.
    pub fn parse(
        text: &str,
        format: NetlistFormat,
        options: &NetlistOptions,
    ) -> Result<Self, NetlistError> {
        match format {
            NetlistFormat::C => c_source::parse(text, options),
            NetlistFormat::Verilog => verilog::parse(text, options),
            NetlistFormat::Blif => blif::parse(text, options),
        }
    }
}
