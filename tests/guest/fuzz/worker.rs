// SPDX-License-Identifier: GPL-2.0

//! A process of the fuzzer and its threads.

use crate::arena::Arena;
use crate::calls::Call;
use crate::coverage::Trace;
use crate::draw::{seed, Draw};
use crate::files::{Files, AUDITED, NAMED_SLOTS};
use crate::module::Parameters;
use crate::rules;
use crate::shared::Shared;
use crate::target::Target;
use crate::uring::Uring;
use nix::errno::Errno;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// The number of threads of a process.
pub const THREADS: usize = 2;

/// The data that the processes of one round have in common.
#[derive(Clone, Copy)]
pub struct Round {
    pub shared: &'static Shared,
    pub parameters: Parameters,
    pub seed: u64,
    /// Half the number of lanes in use: a child of lane `n` has lane `n + children`.
    pub children: usize,
    /// A pair of sockets that all processes send their files through.
    pub across: [i32; 2],
    /// A pair of sockets that readers of new logs are sent to the supervisor through.
    pub observers: [i32; 2],
}

/// A thread of the fuzzer, or the child of one.
pub struct Thread {
    pub round: Round,
    pub lane: usize,
    pub arena: Arena,
    pub files: Files,
    /// The log that the calls of the thread use.
    pub target: Target,
    /// The named logs that the thread has open, by their slots.
    pub named: [Option<Target>; NAMED_SLOTS],
    /// Whether the effective user id is 65534.
    pub nobody: bool,
    /// Whether the real user id is 65534.
    pub real_nobody: bool,
    pub child: bool,
    pub epoll: i32,
    pub pipe: [i32; 2],
    pub plain: i32,
    pub sockets: [i32; 2],
    pub peers: &'static [AtomicI32; THREADS],
    pub uring: Option<Uring>,
    trace: Option<Trace>,
}

/// Runs a process whose threads have the lanes from `lane` on, for `calls` calls of each. Never
/// returns.
pub fn process(round: Round, lane: usize, calls: u64) -> ! {
    // The thread ids; 0 for a thread that has not started yet or has ended.
    static PEERS: [AtomicI32; THREADS] = [const { AtomicI32::new(0) }; THREADS];
    let sockets = socket_pair();
    handle_signals();
    std::thread::scope(|scope| {
        for (index, peer) in PEERS.iter().enumerate() {
            scope.spawn(move || {
                let mut thread = Thread::new(round, lane + index, index, sockets, &PEERS);
                peer.store(nix::unistd::gettid().as_raw(), Ordering::SeqCst);
                let mut draw =
                    Draw::new(seed(&[round.seed, thread.lane as u64]), round.parameters, false);
                thread.run(&mut draw, calls);
                round.shared.fingerprint.fetch_xor(draw.fingerprint(), Ordering::Relaxed);
                // The other thread may still run and must not send signals to this thread id.
                peer.store(0, Ordering::SeqCst);
                round.shared.leave(thread.lane);
            });
        }
    });
    // SAFETY: The call only ends the process.
    unsafe { libc::_exit(0) }
}

impl Thread {
    fn new(
        round: Round,
        lane: usize,
        index: usize,
        sockets: [i32; 2],
        peers: &'static [AtomicI32; THREADS],
    ) -> Self {
        round.shared.enter(lane);
        let arena = Arena::new();
        start_alarm(lane);
        let mut pipe = [0; 2];
        // SAFETY: The calls create descriptors that belong to this thread, and write to `pipe`.
        let (epoll, plain) = unsafe {
            assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC), 0);
            let plain = libc::memfd_create(c"umsg".as_ptr(), libc::MFD_CLOEXEC);
            assert_eq!(libc::ftruncate(plain, 4096), 0);
            libc::write(pipe[1], [b'p'; 64].as_ptr().cast(), 64);
            (libc::epoll_create1(libc::EPOLL_CLOEXEC), plain)
        };
        Self {
            round,
            lane,
            arena,
            files: Files::new(index),
            target: Target::default_log(&round),
            named: Default::default(),
            nobody: false,
            real_nobody: false,
            child: false,
            epoll,
            pipe,
            plain,
            sockets,
            peers,
            uring: None,
            trace: Trace::start(),
        }
    }

    fn run(&mut self, draw: &mut Draw, calls: u64) {
        for _ in 0..calls {
            let call = draw.call();
            self.round.shared.start(self.lane, &call);
            let result = match self.named_of(&call) {
                Some(index) => {
                    self.with_named(index, |thread| thread.perform_checked(&call.on(AUDITED)))
                }
                None => self.perform_checked(&call),
            };
            self.round.shared.finish(self.lane, &call, result);
            if let Some(trace) = &self.trace {
                trace.add_to(&self.round.shared.covered);
            }
        }
    }

    /// Performs one call, and checks its result.
    fn perform_checked(&mut self, call: &Call) -> i64 {
        let result = self.perform(call);
        if result < 0 {
            let error = -result as i32;
            assert!(
                rules::allowed(call, error, self),
                "{call:?} failed with {:?} ({error}), of a file that is {:?}",
                Errno::from_raw(error),
                call.slot().map(|slot| self.files.known(slot)),
            );
        }
        result
    }

    /// Runs a child that makes `calls` calls with the files of this thread. Kills the child after
    /// `kill_after_us` microseconds, unless that is 0.
    pub fn fork(&mut self, seed: u64, calls: u8, kill_after_us: u16) {
        let lane = self.lane + self.round.children;
        CHILDREN_STARTED.fetch_add(1, Ordering::SeqCst);
        // SAFETY: The child uses no lock that another thread of this process may hold, except the
        // lock of the allocator, which the C library keeps usable after a fork.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork");
        if pid == 0 {
            self.round.shared.enter(lane);
            start_alarm(lane);
            self.lane = lane;
            self.child = true;
            // The ring and the trace belong to the parent.
            std::mem::forget(self.uring.take());
            std::mem::forget(self.trace.take());
            self.run(&mut Draw::new(seed, self.round.parameters, true), calls.into());
            self.round.shared.leave(lane);
            // SAFETY: The call only ends the child.
            unsafe { libc::_exit(0) }
        }
        if kill_after_us > 0 {
            std::thread::sleep(std::time::Duration::from_micros(kill_after_us.into()));
            // SAFETY: The call takes only numbers. `pid` is a child that has not been waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        let mut status = 0;
        // SAFETY: The call writes to `status`.
        while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
            assert_eq!(Errno::last(), Errno::EINTR, "waitpid");
        }
        CHILDREN_ENDED.fetch_add(1, Ordering::SeqCst);
        self.round.shared.leave(lane);
        let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
        assert!(status == 0 || (killed && kill_after_us > 0), "a child ended with {status:#x}");
    }
}

/// The number of children that the threads of the process have started and that have ended. Each
/// child has the files of all threads.
pub struct Children {
    started: u64,
    ended: u64,
}

static CHILDREN_STARTED: AtomicU64 = AtomicU64::new(0);
static CHILDREN_ENDED: AtomicU64 = AtomicU64::new(0);

impl Children {
    pub fn now() -> Self {
        let ended = CHILDREN_ENDED.load(Ordering::SeqCst);
        Self { started: CHILDREN_STARTED.load(Ordering::SeqCst), ended }
    }

    /// Returns whether no child has existed since [`Children::now`].
    pub fn were_none(&self) -> bool {
        self.started == self.ended && self.started == CHILDREN_STARTED.load(Ordering::SeqCst)
    }
}

/// Creates a pair of connected non-blocking sockets.
pub fn socket_pair() -> [i32; 2] {
    let mut pair = [0; 2];
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: The call writes to `pair`.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) }, 0);
    pair
}

extern "C" fn ignore(_: i32) {}

/// Installs the signal handlers. `SIGALRM` interrupts a system call that waits; `SIGUSR1` makes the
/// system call restart.
fn handle_signals() {
    for (signal, flags) in [(libc::SIGALRM, 0), (libc::SIGUSR1, libc::SA_RESTART)] {
        // SAFETY: The handler does nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as extern "C" fn(i32) as usize;
            action.sa_flags = flags;
            assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
        }
    }
}

/// Starts a timer that sends a signal to this thread every few milliseconds, so that no call waits
/// for ever.
fn start_alarm(lane: usize) {
    // SAFETY: The structures may be zeros. The timer is new and ends with the process.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer: libc::timer_t = std::ptr::null_mut();
        assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer), 0);
        let period = libc::timespec { tv_sec: 0, tv_nsec: 4_000_000 + 700_000 * (lane % 7) as i64 };
        let times = libc::itimerspec { it_interval: period, it_value: period };
        assert_eq!(libc::timer_settime(timer, 0, &times, std::ptr::null_mut()), 0);
    }
}
