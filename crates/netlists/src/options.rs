//! What a netlist's reader is told: which module is meant, and how large the text and the circuit may be.

use std::collections::BTreeMap;

use crate::liberty::CellLibrary;

/// How large a netlist may be. What is larger is an error before it takes memory or time.
///
/// ```
/// use approx_netlists::NetlistLimits;
///
/// let limits = NetlistLimits { nodes: 1000, ..NetlistLimits::default() };
/// assert_eq!(limits.bytes, 16 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetlistLimits {
    /// Bytes of the text: 16 MiB unless told otherwise.
    pub bytes: usize,
    /// Gates and nets, before any of them is found superfluous: 2^20 unless told otherwise.
    pub nodes: usize,
    /// Steps of putting the circuit together, about one for each bit of an operation: 2^26 unless told otherwise. It
    /// bounds what a short text with many instances or calls of each other can ask for.
    pub steps: u64,
}

impl Default for NetlistLimits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            nodes: 1 << 20,
            steps: 1 << 26,
        }
    }
}

/// What a netlist does not say of itself.
///
/// ```
/// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
///
/// let text = "bool one(bool a) { return a; } bool two(bool a) { return !a; }";
/// assert!(Netlist::parse(text, NetlistFormat::C, &NetlistOptions::default()).is_err());
/// let options = NetlistOptions { top: Some("two".into()), ..NetlistOptions::default() };
/// assert_eq!(Netlist::parse(text, NetlistFormat::C, &options)?.name(), "two");
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct NetlistOptions {
    /// The module, model or function that is meant. If not given: the only one that no other one uses; in BLIF the
    /// first one.
    pub top: Option<String>,
    /// Which names are those of circuits that are looked for. It decides where no other module or function uses several
    /// of them, and this is true of the name of one.
    pub preferred_top: Option<fn(&str) -> bool>,
    /// Values for parameters of that module, in Verilog, in the place of those that it has.
    pub parameters: BTreeMap<String, i64>,
    /// Cells that a netlist in Verilog may use besides those that are known by their names anyway, which these go before.
    pub cells: Option<CellLibrary>,
    /// Whether nets without a driver are 0, as ABC takes them, where an output depends on them. How many there are is
    /// among the [notes](crate::Netlist::notes). They are an error otherwise, for most are a mistake.
    pub undriven_nets_are_zero: bool,
    /// How large the netlist may be.
    pub limits: NetlistLimits,
}
