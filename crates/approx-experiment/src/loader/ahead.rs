//! Work that is done while its results are still being used: the next batch is decoded while the network computes.

use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

/// How many results wait at most, besides the one that is in the making.
const WAITING: usize = 1;

/// What an iterator gives, made ahead by a thread of its own.
pub struct Ahead<T> {
    results: Receiver<T>,
    thread: Option<JoinHandle<()>>,
}

/// An iterator's results, made ahead where that is possible.
pub fn ahead<T: Send + 'static>(
    work: impl Iterator<Item = T> + Send + 'static,
) -> Box<dyn Iterator<Item = T>> {
    // A thread of rayon's pool that waits for results would keep the pool from making them.
    if rayon::current_thread_index().is_some() {
        return Box::new(work);
    }
    let (sender, results) = mpsc::sync_channel(WAITING);
    let thread = std::thread::spawn(move || {
        for result in work {
            // Whoever asked has had enough.
            if sender.send(result).is_err() {
                break;
            }
        }
    });
    Box::new(Ahead {
        results,
        thread: Some(thread),
    })
}

impl<T> Iterator for Ahead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Ok(result) = self.results.recv() {
            return Some(result);
        }
        // The thread has ended: because it is done, or by a panic, which must not look like the end.
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_to_the_end() {
        for count in [0, 1, 2, 100] {
            let found: Vec<usize> = ahead(0..count).collect();
            assert_eq!(found, (0..count).collect::<Vec<_>>());
        }
        // Abandoned on the way.
        assert_eq!(ahead(0..100).take(3).count(), 3);
    }

    /// A pool of one thread, from which results are asked for that the pool has to make.
    #[test]
    fn a_pool_does_not_wait_for_itself() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let work = || (0..3).map(|number| rayon::join(|| number, || 1).0);
        let found: Vec<i32> = pool.install(|| ahead(work()).collect());
        assert_eq!(found, [0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "the third")]
    fn a_panic_is_no_end() {
        let work = (0..5).inspect(|&number| assert!(number != 3, "the third"));
        ahead(work).for_each(drop);
    }
}
