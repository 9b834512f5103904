//! The languages of netlists, and the way from a text in one of them, or from several, to a netlist.

use std::path::Path;

use crate::error::Location;
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

    /// Reads a netlist from the texts of several files, as if they were one text: modules of one may use those of
    /// another. Whatever is said of a place names the file.
    ///
    /// ```
    /// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
    ///
    /// let top = "module top(input a, b, output o); both x(a, b, o); endmodule";
    /// let used = "module both(input x, y, output z);\nassign z = x & y;\nendmodule";
    /// let read = |used: &str| {
    ///     let files = [("top.v".as_ref(), top), ("both.v".as_ref(), used)];
    ///     Netlist::parse_several(&files, NetlistFormat::Verilog, &NetlistOptions::default())
    /// };
    /// assert_eq!(read(used)?.circuit().evaluate(0b11)?, 1);
    /// let error = read(&used.replace("y;", "w;")).unwrap_err();
    /// assert!(error.to_string().starts_with("both.v:2:16: found \"w\""));
    /// # Ok::<(), approx_netlists::NetlistError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse); the limit of the text's length is for all of them together.
    pub fn parse_several(
        files: &[(&Path, &str)],
        format: NetlistFormat,
        options: &NetlistOptions,
    ) -> Result<Self, NetlistError> {
        let mut text = String::new();
        let mut lines = 0;
        let mut starts = Vec::with_capacity(files.len());
        for (path, content) in files {
            starts.push((*path, lines));
            text.push_str(content);
            text.push('\n');
            lines += 1 + content.matches('\n').count();
        }
        let place = |location: &mut Location| {
            let Some(position) = &mut location.position else {
                return;
            };
            let following = starts.partition_point(|(_, lines)| *lines < position.line);
            if let Some((path, lines)) = following.checked_sub(1).map(|file| starts[file]) {
                location.file = Some(path.to_owned());
                position.line -= lines;
            }
        };
        match Self::parse(&text, format, options) {
            Ok(mut netlist) => {
                place(&mut netlist.location);
                Ok(netlist)
            }
            Err(mut error) => {
                if let Some(location) = error.location_mut() {
                    place(location);
                }
                Err(error)
            }
        }
    }
}
