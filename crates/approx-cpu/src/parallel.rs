//! How work is cut for the thread pool.

/// Elements per task of an element-wise pass: long enough to hide the cost of a task, short enough to stay in cache.
pub(crate) const CHUNK: usize = 16 * 1024;

/// Products of elements worth a task of their own.
pub(crate) const PRODUCTS_PER_TASK: usize = 1 << 21;
