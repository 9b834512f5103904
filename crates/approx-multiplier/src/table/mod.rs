//! Tables over all pairs of codes: every product of a multiplier ([`product`]) and its derivatives, if its maker gives them
//! ([`gradient`]); and the two ways in which tables are stored, as [`.npy` files](npy) and [compactly](compression).

pub(crate) mod compression;
mod gradient;
pub(crate) mod npy;
mod product;

pub use gradient::GradientTables;
pub(crate) use gradient::SerializedGradient;
pub use product::{MAX_INDEX_BITS, ProductTable};
pub(crate) use product::{checked_entry, entry_count, index_bits};
