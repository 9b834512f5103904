//! How work is cut for the thread pool.

/// Elements per task of an element-wise pass: long enough to hide the cost of a task, short enough to stay in cache.
pub(crate) const CHUNK: usize = 16 * 1024;

/// Products of elements worth a task of their own.
pub(crate) const PRODUCTS_PER_TASK: usize = 1 << 21;

/// Runs work on the elements of a tensor, on a thread of the current pool if they are many.
///
/// From there, work is handed to other threads without waiting to be woken when it is done, which takes as long as the
/// work itself on tensors of some ten thousand elements: so what consists of several parallel passes enters the pool
/// once. Where a program as a whole runs in [`rayon::scope`], this changes nothing.
///
/// ```
/// let on_a_thread_of_the_pool = |elements| approx_cpu::in_pool(elements, || rayon::current_thread_index().is_some());
/// assert!(on_a_thread_of_the_pool(1_000_000));
/// assert!(!on_a_thread_of_the_pool(10));
/// ```
pub fn in_pool<R: Send>(elements: usize, work: impl FnOnce() -> R + Send) -> R {
    match elements > CHUNK && rayon::current_thread_index().is_none() {
        true => rayon::scope(|_| work()),
        false => work(),
    }
}
