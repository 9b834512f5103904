//! What a file's structure may take in memory, found before any is taken.
//!
//! A message of two bytes becomes a structure of hundreds, so a small file could ask for all the memory there is. A walk
//! over the messages counts them first, at a depth that a stack holds.

use protobuf::CodedInputStream;
use protobuf::rt::WireType;

/// How deep messages may lie in each other: graphs within nodes of graphs, a few deep, take four levels each.
const DEEPEST: u32 = 60;
/// More memory than the structure of a node, an attribute, a tensor or another large message takes, with the list that
/// holds it.
const LARGE: u64 = 1024;
/// More memory than a name, an entry or a size of a shape takes.
const SMALL: u64 = 96;
/// Memory for messages that any file may take.
const ALWAYS: u64 = 256 << 20;
/// Memory for messages that a file may take for each of its bytes.
const PER_BYTE: u64 = 16;

/// The kinds of message, as far as it matters where others lie in them.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    Tensor,
    Value,
    Type,
    TensorType,
    Sequence,
    Map,
    Shape,
    Training,
    /// One that holds names and numbers alone.
    Entry,
}

impl Message {
    /// What a field with a length holds; `None` for text, bytes and packed numbers.
    fn field(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Training, 1 | 2) => Self::Graph,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5 | 15) => Self::Tensor,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::Value,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Attribute, 5 | 10) => Self::Tensor,
            // A sparse tensor holds two others in the places of a tensor's numbers.
            (Self::Attribute, 22 | 23) => Self::Tensor,
            (Self::Attribute, 14 | 15) | (Self::Value, 2) => Self::Type,
            (Self::Type, 1 | 8) => Self::TensorType,
            (Self::Type, 4 | 9) => Self::Sequence,
            (Self::Type, 5) => Self::Map,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Sequence, 1) | (Self::Map, 2) => Self::Type,
            _ => return None,
        })
    }

    /// What its structure takes in memory, or more.
    fn size(self) -> u64 {
        match self {
            Self::Entry => SMALL,
            _ => LARGE,
        }
    }
}

/// The memory that the messages of a file of so many bytes may take.
pub(super) fn allowed(bytes: u64) -> u64 {
    ALWAYS + bytes.saturating_mul(PER_BYTE)
}

/// The memory that a node of so many bytes takes.
pub(super) fn node(bytes: u64) -> u64 {
    LARGE + bytes
}

/// Checks that the messages of a model take no more memory than its size justifies.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut taken = 0;
    add_up(bytes, Message::Model, 0, &mut taken)?;
    let size = bytes.len() as u64;
    match taken > allowed(size) {
        true => Err(format!(
            "its parts would take {} MiB of memory, but the file has {size} bytes",
            taken >> 20
        )),
        false => Ok(()),
    }
}

fn add_up(bytes: &[u8], message: Message, depth: u32, taken: &mut u64) -> Result<(), String> {
    let problem = |error: protobuf::Error| format!("its structure is broken ({error})");
    if depth > DEEPEST {
        return Err(format!(
            "its parts lie more than {DEEPEST} deep in each other"
        ));
    }
    let mut input = CodedInputStream::from_bytes(bytes);
    while let Some(tag) = input.read_raw_tag_or_eof().map_err(problem)? {
        let wire =
            WireType::new(tag & 7).ok_or("its structure is broken (an unknown kind of field)")?;
        if wire != WireType::LengthDelimited {
            input.skip_field(wire).map_err(problem)?;
            continue;
        }
        let length = input.read_raw_varint64().map_err(problem)?;
        let start = input.pos();
        let rest = bytes.len() as u64 - start;
        if length > rest {
            return Err(format!("it ends {} bytes too early", length - rest));
        }
        let inner = message.field(tag >> 3);
        *taken += inner.unwrap_or(Message::Entry).size();
        if let Some(inner) = inner {
            let within = &bytes[start as usize..(start + length) as usize];
            add_up(within, inner, depth + 1, taken)?;
        }
        // Past the largest number that the reader can skip at once.
        let mut left = length;
        while left > 0 {
            let step = left.min(1 << 30);
            input.skip_raw_bytes(step as u32).map_err(problem)?;
            left -= step;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that holds bytes.
    fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut field = Vec::new();
        for mut value in [u64::from(number << 3 | 2), bytes.len() as u64] {
            while value >= 0x80 {
                field.push(value as u8 | 0x80);
                value >>= 7;
            }
            field.push(value as u8);
        }
        field.extend(bytes);
        field
    }

    #[test]
    fn many_empty_nodes_are_refused_and_many_weights_are_not() {
        let nodes = field(1, &[]).repeat(2_000_000);
        let error = check(&field(7, &nodes)).unwrap_err();
        assert!(error.contains("MiB of memory"), "{error}");
        let weights = field(5, &field(9, &vec![0; 4_000_000]));
        check(&field(7, &weights)).unwrap();
    }

    #[test]
    fn graphs_within_graphs_without_end_are_refused() {
        let mut graph = Vec::new();
        for _ in 0..100 {
            graph = field(1, &field(5, &field(6, &graph)));
        }
        assert!(check(&field(7, &graph)).unwrap_err().contains("deep"));
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused_wherever_it_ends() {
        let node = [field(1, b"x"), field(2, b"y"), field(4, b"Relu")].concat();
        let model = field(7, &field(1, &node));
        check(&model).unwrap();
        for end in 1..model.len() {
            assert!(check(&model[..end]).is_err(), "cut at {end}");
        }
    }
}
