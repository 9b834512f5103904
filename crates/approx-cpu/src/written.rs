//! Vectors that are written once, without being filled first.

use std::mem::MaybeUninit;

/// A vector whose elements `write` writes, or its error.
///
/// # Safety
/// Where `write` succeeds, it has written every element.
pub(crate) unsafe fn written<T: Copy, E>(
    length: usize,
    write: impl FnOnce(&mut [MaybeUninit<T>]) -> Result<(), E>,
) -> Result<Vec<T>, E> {
    let mut elements = Vec::with_capacity(length);
    write(&mut elements.spare_capacity_mut()[..length])?;
    // SAFETY: the caller promises that the elements, which fit in the capacity, have been written.
    unsafe { elements.set_len(length) };
    Ok(elements)
}
