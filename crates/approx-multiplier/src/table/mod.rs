//! Product tables: every product of a multiplier, what they are ([`product`]), and the two ways in which they are
//! stored, as [`.npy` files](npy) and [compactly](compression).

pub(crate) mod compression;
pub(crate) mod npy;
mod product;

pub use product::{MAX_INDEX_BITS, ProductTable};
pub(crate) use product::{checked_entry, entry_count, index_bits};
