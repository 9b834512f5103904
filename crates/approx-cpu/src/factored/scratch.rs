//! Memory that a thread keeps from one product to the next.

use std::cell::Cell;

use super::kernel::Block;

thread_local! {
    static WORDS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
}

/// Calls `f` with aligned words of arbitrary content.
pub(super) fn with_words<T>(words: usize, f: impl FnOnce(&mut [i32]) -> T) -> T {
    // Taken, not borrowed: while `f` waits for other threads, this one may be handed another product.
    let mut blocks = WORDS.take();
    let length = words.div_ceil(size_of::<Block>() / size_of::<i32>());
    if blocks.len() < length {
        blocks.resize(length, Block::default());
    }
    let result = f(&mut bytemuck::cast_slice_mut(&mut blocks)[..words]);
    WORDS.set(blocks);
    result
}
