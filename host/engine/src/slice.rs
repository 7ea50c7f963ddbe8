//! How soon the system runs a thread that has been woken.

use std::io;

use libc::{SCHED_FLAG_RESET_ON_FORK, SCHED_OTHER, SYS_sched_getattr, SYS_sched_setattr, sched_attr};

/// The shortest time slice that Linux gives.
const SHORTEST_NS: u64 = 100_000;

/// Asks for the shortest time slice for the calling thread: whoever has a shorter one than the thread that runs preempts it
/// when woken, where it would wait for the end of its slice otherwise. For threads that do next to nothing each time. Threads
/// that it starts have the usual slice.
///
/// A thread whose class is not the usual one, such as `SCHED_FIFO`, keeps what it has been given. Before Linux 6.12 slices are
/// all alike, and this changes nothing.
///
/// Source: sched_setattr(2), `sched_runtime`; [EEVDF](https://docs.kernel.org/scheduler/sched-eevdf.html).
///
/// # Errors
/// The system does not allow it, as in a sandbox that knows few system calls.
pub(crate) fn shorten() -> io::Result<()> {
    let mut attributes = attributes()?;
    if attributes.sched_policy == SCHED_OTHER.unsigned_abs() {
        attributes.sched_runtime = SHORTEST_NS;
        attributes.sched_flags |= SCHED_FLAG_RESET_ON_FORK as u64;
        // SAFETY: the attributes live as long as the call, which only reads as many bytes as their `size` says.
        done(unsafe { libc::syscall(SYS_sched_setattr, THIS_THREAD, &raw const attributes, NO_FLAGS) })?;
    }
    Ok(())
}

const THIS_THREAD: libc::pid_t = 0;
const NO_FLAGS: libc::c_uint = 0;

fn attributes() -> io::Result<sched_attr> {
    let size = size_of::<sched_attr>() as u32;
    let mut attributes = sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the attributes live as long as the call, which writes at most `size` bytes.
    done(unsafe { libc::syscall(SYS_sched_getattr, THIS_THREAD, &raw mut attributes, size, NO_FLAGS) })?;
    Ok(attributes)
}

fn done(returned: libc::c_long) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice_ns() -> u64 {
        attributes().expect("a thread may look at itself").sched_runtime
    }

    #[test]
    fn the_slice_of_one_thread_is_shortened_and_not_of_those_that_it_starts() {
        let usual = slice_ns();
        let of_threads = std::thread::spawn(|| {
            shorten().expect("a thread may ask for less");
            (slice_ns(), std::thread::spawn(slice_ns).join().expect("it only looks"))
        });
        // A system of before 6.12 has no slices to tell of.
        let shortened = if usual == 0 { 0 } else { SHORTEST_NS };
        assert_eq!(of_threads.join().expect("it only looks"), (shortened, usual));
        assert_eq!(slice_ns(), usual);
    }
}
