//! Work that a thread has another one do while it waits: a closure that borrows from the stack of the thread that lends it.
//!
//! Threads that would otherwise wake one another only to take a lock, in whose data none of them has anything in the cache, leave
//! their work with the one that holds it. The technique is flat combining (Hendler, Incze, Shavit, Tzafrir: Flat combining and the
//! synchronization-parallelism tradeoff, SPAA 2010).
//!
//! # Invariants
//!
//! 1. [`lend`] ends, be it by a panic, only after the [`Lent`] that it made is gone: whoever holds one finds what it points to.
//! 2. A `Lent` does not touch the work any more once it has said that it is gone.

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::sync::{Condvar, Mutex};

/// What those who do the work of others hand to it, for a time.
///
/// ```
/// # use dynamite_pager::sync::Turn;
/// /// Work is handed texts.
/// struct Texts;
///
/// impl Turn for Texts {
///     type With<'t> = Vec<&'t str>;
/// }
/// ```
pub trait Turn: 'static {
    /// What is handed to it.
    type With<'t>;
}

/// Lends `work` to whoever gets the [`Lent`] that is handed to `with`, and waits until it was done, or dropped. Returns what it has
/// returned, `None` if nobody did it, and what `with` returned.
///
/// # Panics
///
/// If `work` does, wherever it was done, or `with`.
///
/// ```
/// use std::sync::mpsc::channel;
/// use dynamite_pager::sync::{Lent, Turn, lend};
///
/// struct Sum;
///
/// impl Turn for Sum {
///     type With<'t> = usize;
/// }
///
/// let (ask, asked) = channel::<Lent<Sum>>();
/// let helper = std::thread::spawn(move || {
///     let mut sum = 0;
///     asked.into_iter().for_each(|work| work.run(&mut sum));
///     sum
/// });
/// let words = ["lent", "not", "given"];
/// let longest = |sum: &mut usize| {
///     *sum += words.len();
///     words.iter().max_by_key(|word| word.len())
/// };
/// let (longest, ()) = lend(longest, |work| ask.send(work).unwrap());
/// assert_eq!(longest, Some(Some(&"given")));
/// drop(ask);
/// assert_eq!(helper.join().unwrap(), 3);
/// ```
pub fn lend<T: Turn, R: Send, W>(
    work: impl for<'a, 't> FnOnce(&'a mut T::With<'t>) -> R + Send,
    with: impl FnOnce(Lent<T>) -> W,
) -> (Option<R>, W) {
    let mut errand = Errand { work: Some(work), result: None };
    let end = Arc::new(End::default());
    let there: NonNull<dyn Work<T> + '_> = NonNull::from(&mut errand);
    // SAFETY: only the lifetime is another. `Lent` uses the pointer until it says that it is gone (invariant 2), and this function, whose
    // stack has the errand, does not end before (invariant 1).
    let work = unsafe { mem::transmute::<NonNull<dyn Work<T> + '_>, NonNull<dyn Work<T> + 'static>>(there) };
    let waits = WaitsFor(&end);
    let outcome = with(Lent { work, end: end.clone() });
    drop(waits);
    let result = errand.result.map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)));
    (result, outcome)
}

/// Work of another thread, which waits until this is gone.
pub struct Lent<T: Turn> {
    work: NonNull<dyn Work<T>>,
    end: Arc<End>,
}

impl<T: Turn> Lent<T> {
    /// Does the work. A panic in it is for the thread whose work it is.
    pub fn run(mut self, with: &mut T::With<'_>) {
        // SAFETY: the errand is there as long as `self` is (invariant 1), and nobody else looks at it meanwhile: its owner waits, and
        // this is the only `Lent` that leads to it.
        unsafe { self.work.as_mut() }.run(with);
    }
}

// SAFETY: `lend` asks of the work that it may be done by another thread, and of the result that it may come back from there. What is handed
// to the work stays where it is: the work may not take it along, whatever its lifetime.
unsafe impl<T: Turn> Send for Lent<T> {}

impl<T: Turn> Drop for Lent<T> {
    fn drop(&mut self) {
        // From here on the work may be gone; `end` is this thread's own.
        *self.end.gone.lock() = true;
        self.end.changed.notify_one();
    }
}

impl<T: Turn> fmt::Debug for Lent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

trait Work<T: Turn> {
    fn run(&mut self, with: &mut T::With<'_>);
}

struct Errand<F, R> {
    work: Option<F>,
    result: Option<Result<R, Box<dyn Any + Send>>>,
}

impl<T: Turn, R, F: for<'a, 't> FnOnce(&'a mut T::With<'t>) -> R> Work<T> for Errand<F, R> {
    fn run(&mut self, with: &mut T::With<'_>) {
        if let Some(work) = self.work.take() {
            // What a panic leaves behind is seen by those to whom the panic goes on, and by who hands something to the work.
            self.result = Some(catch_unwind(AssertUnwindSafe(|| work(with))));
        }
    }
}

/// Whether a [`Lent`] is gone.
#[derive(Default)]
struct End {
    gone: Mutex<bool>,
    changed: Condvar,
}

/// Waits when it is dropped.
struct WaitsFor<'a>(&'a End);

impl Drop for WaitsFor<'_> {
    fn drop(&mut self) {
        let mut gone = self.0.gone.lock();
        while !*gone {
            gone = self.0.changed.wait(gone);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::panic_any;
    use std::sync::mpsc::channel;

    use super::*;

    struct Nothing;

    impl Turn for Nothing {
        type With<'t> = ();
    }

    #[test]
    fn who_lends_waits_for_work_that_is_done_late() {
        let (ask, asked) = channel::<Lent<Nothing>>();
        let (begin, begun) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let lent = asked.recv().unwrap();
                begun.recv().unwrap();
                lent.run(&mut ());
            });
            let text = String::from("borrowed");
            let (len, ()) = lend(
                |()| text.len(),
                |lent| {
                    ask.send(lent).unwrap();
                    begin.send(()).unwrap();
                },
            );
            assert_eq!(len, Some(8));
        });
    }

    #[test]
    fn a_panic_while_the_work_is_out_waits_for_it_too() {
        let (ask, asked) = channel::<Lent<Nothing>>();
        let mut done = false;
        std::thread::scope(|scope| {
            scope.spawn(move || asked.recv().unwrap().run(&mut ()));
            let panic = catch_unwind(AssertUnwindSafe(|| {
                lend(
                    |()| done = true,
                    |lent| -> () {
                        ask.send(lent).unwrap();
                        panic_any("on purpose");
                    },
                )
            }));
            assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"on purpose"));
            assert!(done);
        });
    }

    #[test]
    fn work_that_nobody_does_has_no_result_and_its_panic_goes_home() {
        assert_eq!(lend::<Nothing, _, _>(|()| 1, drop), (None, ()));
        let mut is_there = false;
        let home = catch_unwind(AssertUnwindSafe(|| {
            lend::<Nothing, (), _>(
                |()| panic_any(7),
                |lent| {
                    lent.run(&mut ());
                    is_there = true;
                },
            )
        }));
        assert!(is_there);
        assert_eq!(home.unwrap_err().downcast_ref(), Some(&7));
    }
}
