//! How element-wise work is cut for the thread pool.

/// Elements per task of an element-wise pass: long enough to hide the cost of a task, short enough to stay in cache.
pub(crate) const CHUNK: usize = 16 * 1024;
