//! From ports to operands: which inputs are the first operand, which are the second one, and in which order their bits
//! are.

use std::collections::BTreeMap;

use approx_netlists::Port;
use approx_netlists::lexer::quoted;

/// The ports of a netlist that are the bits of its numbers, by their names in the netlist, the lowest bit of each number
/// first. A port of several bits counts for all of them.
///
/// ```
/// use approx_multiplier::Signedness;
/// use approx_multiplier::import::{self, ImportOptions, NetlistFormat, PortNames};
///
/// // Names say neither what the ports are nor in which order.
/// let text = ".model m\n.inputs n4 n7 n1 n2\n.outputs n8\n.names n1 n7 n8\n11 1\n.end";
/// let names = |names: [&str; 2]| names.map(String::from).to_vec();
/// let options = ImportOptions {
///     ports: PortNames {
///         activation: names(["n7", "n4"]),
///         weight: names(["n1", "n2"]),
///         product: vec!["n8".into()],
///     },
///     signedness: Some([Signedness::Unsigned; 2]),
///     ..ImportOptions::default()
/// };
/// let imported = import::circuit(text, NetlistFormat::Blif, &options)?;
/// assert_eq!(imported.multiplier.product(1, 1), Some(1));
/// # Ok::<(), import::ImportError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortNames {
    /// The inputs that are the activation. If neither these are given nor those of the weight: as the names of the
    /// inputs say.
    pub activation: Vec<String>,
    /// The inputs that are the weight.
    pub weight: Vec<String>,
    /// The outputs that are the product. If not given: as the names of the outputs say.
    pub product: Vec<String>,
}

impl PortNames {
    /// Whether anything is said of the operands.
    pub(super) fn has_operands(&self) -> bool {
        !self.activation.is_empty() || !self.weight.is_empty()
    }
}

/// One or several ports that hold a number together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub name: String,
    /// The bits' positions among those of all inputs or outputs, lowest first.
    pub bits: Vec<usize>,
    pub signed: bool,
    pub is_integer: bool,
    /// The index of the lowest bit, if each bit is a port with an index in its name.
    pub first_index: Option<u32>,
}

/// The ports with these names as the number that `what` says. The error says which name is wrong.
pub(super) fn selected(ports: &[Port], names: &[String], what: &str) -> Result<Group, String> {
    let mut bits = Vec::new();
    for name in names {
        let Some(index) = ports.iter().position(|port| port.name == *name) else {
            let known: Vec<String> = ports.iter().map(|port| quoted(&port.name)).collect();
            return Err(format!(
                "there is no port {} for {what}, but {}",
                quoted(name),
                known.join(", ")
            ));
        };
        let first: usize = ports[..index].iter().map(|port| port.width).sum();
        if bits.contains(&first) {
            return Err(format!(
                "the port {} is given twice for {what}",
                quoted(name)
            ));
        }
        bits.extend(first..first + ports[index].width);
    }
    let port = match names {
        [] => return Err(format!("no port is given for {what}")),
        [name] => ports.iter().find(|port| port.name == *name),
        _ => None,
    };
    Ok(Group {
        name: names.join(", "),
        bits,
        signed: port.is_some_and(|port| port.signed),
        is_integer: port.is_some_and(|port| port.is_integer),
        first_index: None,
    })
}

/// Puts ports together to numbers: a port of several bits is one, and ports of one bit whose names differ in an index
/// are. The error says which index is missing or there twice.
pub(crate) fn groups(ports: &[Port]) -> Result<Vec<Group>, String> {
    let mut groups: Vec<Group> = Vec::new();
    // Bits by their index, and the group that they will be, by what their names have in common.
    let mut scattered: BTreeMap<&str, (usize, BTreeMap<u32, usize>)> = BTreeMap::new();
    let mut position = 0;
    for port in ports {
        let bits: Vec<usize> = (position..position + port.width).collect();
        position += port.width;
        let indexed = split_index(&port.name).filter(|_| port.width == 1);
        if let Some((stem, index)) = indexed {
            let (_, members) = scattered.entry(stem).or_insert_with(|| {
                groups.push(Group {
                    name: stem.to_owned(),
                    bits: Vec::new(),
                    signed: port.signed,
                    is_integer: port.is_integer,
                    first_index: None,
                });
                (groups.len() - 1, BTreeMap::new())
            });
            if members.insert(index, bits[0]).is_some() {
                return Err(format!("two ports for bit {index} of {stem:?}"));
            }
        } else {
            groups.push(Group {
                name: port.name.clone(),
                bits,
                signed: port.signed,
                is_integer: port.is_integer,
                first_index: None,
            });
        }
    }
    for (stem, (group, members)) in scattered {
        let indices = members.keys().map(|&index| u64::from(index));
        let first = indices.clone().next().unwrap_or(0);
        if let Some((expected, _)) = (first..).zip(indices).find(|(a, b)| a != b) {
            return Err(format!("no port for bit {expected} of {stem:?}"));
        }
        groups[group].first_index = members.keys().next().copied();
        groups[group].bits = members.into_values().collect();
    }
    Ok(groups)
}

/// Splits the index off a name: `a[3]`, `a<3>`, `a(3)`, `a_3` or `a3`.
fn split_index(name: &str) -> Option<(&str, u32)> {
    let (stem, digits) = if let Some((stem, index)) = [("[", "]"), ("<", ">"), ("(", ")")]
        .iter()
        .find_map(|(open, close)| name.strip_suffix(close)?.rsplit_once(open))
    {
        (stem, index)
    } else {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (stem, digits) = name.split_at(name.len() - digits);
        (stem.strip_suffix('_').unwrap_or(stem), digits)
    };
    Some((stem, digits.parse().ok()?)).filter(|(stem, _)| !stem.is_empty())
}

/// Whether the names of two operands say which one is the first: `Some(true)` if the order is the right one,
/// `Some(false)` if it is the other one. They do if they differ in one character which follows the other one's in the
/// alphabet or in the digits, and for some common pairs of words.
pub(crate) fn in_order(first: &str, second: &str) -> Option<bool> {
    const WORDS: [(&str, &str); 4] = [
        ("multiplicand", "multiplier"),
        ("activation", "weight"),
        ("act", "weight"),
        ("lhs", "rhs"),
    ];
    let (first, second) = (first.to_ascii_lowercase(), second.to_ascii_lowercase());
    let precedes = |first: &str, second: &str| {
        let mut differences = first.bytes().zip(second.bytes()).filter(|(a, b)| a != b);
        let consecutive = differences.next().is_some_and(|(a, b)| {
            a.checked_add(1) == Some(b) && a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric()
        });
        first.len() == second.len() && consecutive && differences.next().is_none()
            || WORDS.contains(&(first, second))
    };
    if precedes(&first, &second) {
        Some(true)
    } else if precedes(&second, &first) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn bit(name: &str) -> Port {
        Port::new(name, 1)
    }

    #[rstest]
    #[case(["a[1]", "b[0]", "a[0]", "b[1]"])]
    #[case(["a1", "b0", "a0", "b1"])]
    #[case(["a_11", "b_10", "a_10", "b_11"])]
    #[case(["a<1>", "b<0>", "a<0>", "b<1>"])]
    fn bits_are_collected_by_name_and_index(#[case] names: [&str; 4]) {
        let groups = groups(&names.map(bit)).unwrap();
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.name.as_str(), group.bits.as_slice()))
            .collect();
        assert_eq!(found, [("a", &[2, 0][..]), ("b", &[1, 3])]);
    }

    #[test]
    fn vectors_stay_as_they_are() {
        let ports = [Port::new("in1", 3), bit("x")];
        let groups = groups(&ports).unwrap();
        assert_eq!(groups[0].name, "in1");
        assert_eq!(groups[0].bits, [0, 1, 2]);
        assert_eq!((groups[1].name.as_str(), groups[1].bits[0]), ("x", 3));
    }

    #[test]
    fn missing_and_double_indices_are_errors() {
        let error = |names: &[&str]| {
            groups(&names.iter().map(|name| bit(name)).collect::<Vec<_>>()).unwrap_err()
        };
        assert_eq!(error(&["a0", "a2"]), "no port for bit 1 of \"a\"");
        assert_eq!(error(&["a1", "a_1"]), "two ports for bit 1 of \"a\"");
    }

    #[rstest]
    #[case("A", "B", Some(true))]
    #[case("b", "a", Some(false))]
    #[case("in2", "in1", Some(false))]
    #[case("op_x", "op_y", Some(true))]
    #[case("multiplicand", "multiplier", Some(true))]
    #[case("a", "c", None)]
    #[case("foo", "bar", None)]
    #[case("9", ":", None)]
    fn names_may_say_the_order(
        #[case] first: &str,
        #[case] second: &str,
        #[case] expected: Option<bool>,
    ) {
        assert_eq!(in_order(first, second), expected);
    }
}
