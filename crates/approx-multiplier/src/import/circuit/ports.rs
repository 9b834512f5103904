//! From ports to operands: which inputs are the first operand, which are the second one, and in which order their bits
//! are.

use std::collections::BTreeMap;

use approx_netlists::Port;

/// One or several ports that hold a number together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub name: String,
    /// The bits' positions among those of all inputs or outputs, lowest first.
    pub bits: Vec<usize>,
    pub signed: bool,
    pub is_integer: bool,
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
            });
        }
    }
    for (stem, (group, members)) in scattered {
        let indices = members.keys().map(|&index| u64::from(index));
        let first = indices.clone().next().unwrap_or(0);
        if let Some((expected, _)) = (first..).zip(indices).find(|(a, b)| a != b) {
            return Err(format!("no port for bit {expected} of {stem:?}"));
        }
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
