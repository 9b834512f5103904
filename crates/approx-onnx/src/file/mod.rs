//! From bytes to a graph: `guard` refuses what would take more memory than the file justifies, `opsets` are versions of
//! operators, `tensor` reads weights, `external` those that lie in files beside, `functions` writes out those of the
//! file, `read` puts nodes and constants together; `save` goes the other way, and `quantize` writes quantisers into what
//! is saved.

mod external;
mod functions;
mod guard;
mod opsets;
mod quantize;
mod read;
mod save;
mod tensor;

pub(crate) use quantize::{Codes, LayerCodes};
pub(crate) use read::{Source, read};
pub(crate) use save::save;
pub(crate) use tensor::dtype;
pub use tensor::read_tensor;
