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

/// How many threads a process has.
pub const THREADS: usize = 2;

/// What the processes of one round have in common.
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

/// One thread, or the child of one.
pub struct Thread {
    pub round: Round,
    pub lane: usize,
    pub arena: Arena,
    pub files: Files,
    /// The log that its calls go to.
    pub target: Target,
    /// The named logs that it has open, by their slots.
    pub named: [Option<Target>; NAMED_SLOTS],
    /// Its effective user id is that of nobody.
    pub nobody: bool,
    /// Its real user id is.
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
    // Threads that have not started yet look like this process itself.
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
                // The other thread may still send signals to this one.
                peer.store(0, Ordering::SeqCst);
                round.shared.leave(thread.lane);
            });
        }
    });
    // SAFETY: Ends the process.
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
        // SAFETY: New descriptors of this thread.
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

    /// Performs one call, and checks what came of it.
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

    /// Runs a child that does `calls` calls of its own with the files of this thread; it is killed
    /// after that many microseconds, unless that is 0.
    pub fn fork(&mut self, seed: u64, calls: u8, kill_after_us: u16) {
        let lane = self.lane + self.round.children;
        CHILDREN_STARTED.fetch_add(1, Ordering::SeqCst);
        // SAFETY: The child uses nothing that another thread of this process may have locked: the C
        // library keeps its allocator usable over a fork.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork");
        if pid == 0 {
            self.round.shared.enter(lane);
            start_alarm(lane);
            self.lane = lane;
            self.child = true;
            // They belong to the parent.
            std::mem::forget(self.uring.take());
            std::mem::forget(self.trace.take());
            self.run(&mut Draw::new(seed, self.round.parameters, true), calls.into());
            self.round.shared.leave(lane);
            // SAFETY: Ends the child.
            unsafe { libc::_exit(0) }
        }
        if kill_after_us > 0 {
            std::thread::sleep(std::time::Duration::from_micros(kill_after_us.into()));
            // SAFETY: Our child, for which nobody has waited yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        let mut status = 0;
        // SAFETY: As above.
        while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
            assert_eq!(Errno::last(), Errno::EINTR, "waitpid");
        }
        CHILDREN_ENDED.fetch_add(1, Ordering::SeqCst);
        self.round.shared.leave(lane);
        let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
        assert!(status == 0 || (killed && kill_after_us > 0), "a child ended with {status:#x}");
    }
}

/// The children of all threads of the process, which have the files of all threads.
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

    /// Whether there have been none since this was made.
    pub fn were_none(&self) -> bool {
        self.started == self.ended && self.started == CHILDREN_STARTED.load(Ordering::SeqCst)
    }
}

/// A pair of connected sockets that do not block.
pub fn socket_pair() -> [i32; 2] {
    let mut pair = [0; 2];
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `pair` is what it writes.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) }, 0);
    pair
}

extern "C" fn ignore(_: i32) {}

/// `SIGALRM` interrupts whatever waits, `SIGUSR1` has it go on.
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

/// From now on this thread gets a signal every few milliseconds, so nothing it does waits for ever.
fn start_alarm(lane: usize) {
    // SAFETY: A new timer, which ends with the process; structures that may be zeros.
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
