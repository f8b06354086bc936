//! Work that is done by several threads, in order, and in bounded memory.
//!
//! Pieces are handed to the workers in turn, and taken from them in turn: what comes out stands in the order of what went in, and no
//! worker is ever more than a few pieces ahead of the one whose turn it is.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Pieces that wait before each worker, and behind it.
const QUEUE_LEN: usize = 2;

/// As many workers as there are processors, within reason: reading and writing take their share.
pub(crate) fn default_thread_count() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get).clamp(1, 16)
}

/// Where a producer puts its pieces.
pub(crate) struct Pieces<P> {
    workers: Vec<SyncSender<P>>,
    next: usize,
}

impl<P> Pieces<P> {
    /// Hands a piece on. Returns whether more are wanted; they are not if something has gone wrong.
    #[must_use]
    pub(crate) fn push(&mut self, piece: P) -> bool {
        let nth = self.next;
        self.next = (nth + 1) % self.workers.len();
        self.workers[nth].send(piece).is_ok()
    }
}

/// Produces pieces on a thread of its own, has them worked on by several, and consumes the results in order on this one. The first error
/// of the consumer ends it all, and else that of the producer.
pub(crate) fn run<P: Send, R: Send, E: Send>(
    thread_count: usize,
    produce: impl FnOnce(&mut Pieces<P>) -> Result<(), E> + Send,
    work: impl Fn(P) -> R + Sync,
    mut consume: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let work = &work;
    thread::scope(|scope| {
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        for _ in 0..thread_count.max(1) {
            let (input, pieces) = sync_channel::<P>(QUEUE_LEN);
            let (results, output) = sync_channel::<R>(QUEUE_LEN);
            inputs.push(input);
            outputs.push(output);
            scope.spawn(move || serve(&pieces, work, &results));
        }
        let producer = scope.spawn(move || produce(&mut Pieces { workers: inputs, next: 0 }));
        let consumed =
            outputs.iter().cycle().map_while(|output| output.recv().ok()).try_for_each(&mut consume);
        // Whoever waits to hand something on learns that nobody takes it.
        drop(outputs);
        let produced = match producer.join() {
            Ok(produced) => produced,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        consumed.and(produced)
    })
}

fn serve<P, R>(pieces: &Receiver<P>, work: &impl Fn(P) -> R, results: &SyncSender<R>) {
    for piece in pieces {
        if results.send(work(piece)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers whose work takes longer or shorter come out in order.
    #[test]
    fn results_come_in_the_order_of_the_pieces() {
        for thread_count in [1, 2, 3, 7] {
            let mut expected = 0..1000u64;
            run(
                thread_count,
                |pieces| {
                    (0..1000u64).for_each(|number| assert!(pieces.push(number)));
                    Ok::<(), ()>(())
                },
                |number| {
                    (0..number % 7).for_each(|_| thread::yield_now());
                    number
                },
                |number| {
                    assert_eq!(Some(number), expected.next());
                    Ok(())
                },
            )
            .expect("nothing fails");
            assert_eq!(expected.next(), None);
        }
    }

    #[test]
    fn an_error_ends_it_all() {
        let endless = |pieces: &mut Pieces<u64>| {
            while pieces.push(0) {}
            Ok(())
        };
        let mut left = 10;
        let consume = |_| {
            left -= 1;
            if left == 0 { Err("consumed") } else { Ok(()) }
        };
        assert_eq!(run(3, endless, |number| number, consume), Err("consumed"));
        let mut count = 0;
        let produced = run(
            3,
            |pieces: &mut Pieces<u64>| {
                let _ = pieces.push(1) && pieces.push(2);
                Err("produced")
            },
            |number| number,
            |_| {
                count += 1;
                Ok(())
            },
        );
        assert_eq!((produced, count), (Err("produced"), 2), "what was produced before is consumed");
    }

    /// However slow the consumer is, only so many pieces are on their way.
    #[test]
    fn what_is_under_way_is_bounded() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let under_way = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        run(
            4,
            |pieces| {
                for _ in 0..200 {
                    most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    assert!(pieces.push(()));
                }
                Ok::<(), ()>(())
            },
            |()| (),
            |()| {
                thread::sleep(std::time::Duration::from_micros(200));
                under_way.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            },
        )
        .expect("nothing fails");
        // Before and behind each worker, one in its hands, one in the producer's and one in the consumer's.
        assert!(most.load(Ordering::SeqCst) <= 4 * (2 * QUEUE_LEN + 1) + 2, "{most:?}");
    }
}
