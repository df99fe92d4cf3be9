// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the device by a 32-bit program. Runs as root in a booted kernel, with umsg.ko in the
 * working directory, and prints KTAP.
 *
 * The module has one implementation for 32- and 64-bit programs: its compat_ioctl is
 * compat_ptr_ioctl(), and the structures of umsg.h have one layout. The tests of addresses also
 * make system calls from 64-bit code of this process.
 *
 * Each test runs in its own process on a freshly loaded module. After each test the module must
 * unload, and the kernel log must have no new message at warning level or above.
 */
#include "device-32.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <time.h>

#define BINARY (UMSG_OPTION_BINARY_READ | UMSG_OPTION_BINARY_WRITE)

static __u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

/* Writes a record 50 ms later, from another process. */
static void put_later(int fd)
{
	if (!fork()) {
		usleep(50000);
		put(fd, "text");
		_exit(0);
	}
}

/* All fields, with a different value in each that can have one. */
static void info(void)
{
	struct umsg_info want = { .capacity = 4096, .record_max = 2048,
				  .policy = UMSG_POLICY_STOP };
	int fd = device(O_RDWR);
	struct umsg_info got = get_info(fd);

	BYTES(&want, &got, sizeof(want));
	for (int i = 0; i < 4096 / 72; i++)
		put(fd, "0123456789");
	for (int i = 0; i < 3; i++)
		EXPECT(-ENOSPC, write(fd, "0123456789", 10));
	EXPECT(0, ioctl(fd, UMSG_IOC_CLEAR, 1));	/* the argument is ignored */
	for (int i = 0; i < 5; i++)
		put(fd, "0123456789");
	want = (struct umsg_info){ 4096, 5, 61, 56, 61, 610, 5, 50, 3, 2048, UMSG_POLICY_STOP, {} };
	got = get_info(fd);
	BYTES(&want, &got, sizeof(want));
}

static void ioctl_errors(void)
{
	static const unsigned int unknown[] = {
		_IO(UMSG_IOC_MAGIC, 8), _IO(UMSG_IOC_MAGIC, 255), _IO('U', 2), TCGETS,
		_IO(UMSG_IOC_MAGIC, 1), _IOWR(UMSG_IOC_MAGIC, 1, struct umsg_info),
		_IOR(UMSG_IOC_MAGIC, 2, __u32), _IOR(UMSG_IOC_MAGIC, 1, char[124]),
		_IOR(UMSG_IOC_MAGIC, 0, __u64), _IOW(UMSG_IOC_MAGIC, 5, __u32),
	};
	int fd = device(O_RDWR | O_NONBLOCK), reader = device(O_RDONLY), writer = device(O_WRONLY);

	memset(area, POISON, MOST);
	EXPECT(-EAGAIN, ioctl(fd, UMSG_IOC_NEXT_SIZE, area));
	BYTES(poison, area, MOST);
	put(fd, "zero");
	put(fd, "one");
	EXPECT(0, seek_seq(fd, 1));
	for (size_t i = 0; i < COUNT(unknown); i++) {
		CONTEXT("command %#x", unknown[i]);
		EXPECT(-ENOTTY, ioctl(fd, unknown[i], area));
		EXPECT(-ENOTTY, ioctl(fd, unknown[i], NULL));
	}
	for (int bit = 3; bit < 32; bit++) {
		__u32 options = 1U << bit | UMSG_OPTION_EPIPE;

		CONTEXT("bit %d", bit);
		EXPECT(-EINVAL, ioctl(fd, UMSG_IOC_SET_OPTIONS, &options));
	}
	*context = 0;
	EQUAL(0, get(fd, UMSG_IOC_GET_OPTIONS));
	EXPECT(-EINVAL, seek_seq(fd, 3));
	EXPECT(-EINVAL, seek_seq(fd, HIGH(1)));
	EXPECT(-EINVAL, seek_seq(fd, ~0ULL));
	EXPECT(-EBADF, ioctl(reader, UMSG_IOC_CLEAR));
	EXPECT(-EBADF, ioctl(writer, UMSG_IOC_SEEK_SEQ, NULL));
	EXPECT(-EBADF, ioctl(writer, UMSG_IOC_SEEK_TIME, NULL));
	EXPECT(-EBADF, ioctl(writer, UMSG_IOC_NEXT_SIZE, NULL));
	EXPECT(-EBADF, read(writer, area, MOST));
	EXPECT(-EBADF, write(reader, "x", 1));
	EXPECT(0, seteuid(1234));			/* drops CAP_SYSLOG */
	EXPECT(-EPERM, ioctl(fd, UMSG_IOC_CLEAR));
	EQUAL(0, get_info(fd).cleared_seq);
	expect_text(fd, area, 14, 1, "", "one");
}

static void options(void)
{
	int fd = device(O_RDWR | O_NONBLOCK), other = device(O_RDONLY), copy = dup(fd);

	for (__u32 bits = 0; bits <= UMSG_OPTIONS; bits++) {
		CONTEXT("options %#x", bits);
		set_options(fd, bits);
		EQUAL(bits, get(fd, UMSG_IOC_GET_OPTIONS));
		EQUAL(bits, get(copy, UMSG_IOC_GET_OPTIONS));
		EQUAL(0, get(other, UMSG_IOC_GET_OPTIONS));
	}
	set_options(fd, UMSG_OPTION_EPIPE);
	for (int i = 0; i < 60; i++)
		put(fd, "0123456789");
	EXPECT(-EPIPE, get_record(fd, area, MOST));
	expect_text(fd, area, 14, 4, "", "0123456789");
	expect_text(other, area, 14, 4, ",lost=4", "0123456789");
}

/* A time in nanoseconds needs more than 32 bits from 4.3 s after the boot on. */
static void seek(void)
{
	int fd = device(O_RDWR | O_NONBLOCK);
	__u64 time[3];

	while (now() < HIGH(1) + HIGH(1) / 8)
		usleep(10000);
	for (int i = 0; i < 3; i++) {
		time[i] = now();
		put(fd, "text");
	}
	for (int i = 0; i < 3; i++) {
		CONTEXT("record %d", i);
		EXPECT(0, seek_time(fd, time[i]));
		__u64 usec = expect_text(fd, area, 14, i, "", "text");
		EQUAL(1, time[i] / 1000 <= usec && usec <= (i < 2 ? time[i + 1] : now()) / 1000);
		EXPECT(0, seek_seq(fd, i));
		expect_text(fd, area, 14, i, "", "text");
	}
	*context = 0;
	EXPECT(0, seek_time(fd, time[2] - HIGH(1)));
	expect_text(fd, area, 14, 0, "", "text");
	EXPECT(0, seek_time(fd, HIGH(1000000)));
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
	EXPECT(0, seek_seq(fd, 0));
	EXPECT(0, seek_seq(fd, 3));
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
}

/* lseek() has an offset of 32 bits, _llseek() one of 64. A seek that fails does not move. */
static void lseek_offsets(void)
{
	static const struct { int whence, next; long long offset; int want; } cases[] = {
		{ SEEK_SET, 0, 0, 0 }, { SEEK_DATA, 2, 0, 0 }, { SEEK_END, 3, 0, 0 },
		{ SEEK_SET, 1, 1, -EINVAL }, { SEEK_SET, 1, -1, -EINVAL },
		{ SEEK_SET, 1, HIGH(1), -EINVAL }, { SEEK_DATA, 1, HIGH(0x7fffffff), -EINVAL },
		{ SEEK_END, 1, HIGH(0x80000000), -EINVAL }, { SEEK_END, 1, -1, -EINVAL },
		{ SEEK_CUR, 1, 0, -EINVAL }, { SEEK_HOLE, 1, 0, -EINVAL }, { -1, 1, 0, -EINVAL },
	};
	int fd = device(O_RDWR | O_NONBLOCK);

	put(fd, "text");
	put(fd, "text");
	EXPECT(0, ioctl(fd, UMSG_IOC_CLEAR));
	put(fd, "text");
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		long long offset = cases[i / 2].offset, reached = -2;
		int whence = cases[i / 2].whence, next = cases[i / 2].next;
		int want = cases[i / 2].want;

		CONTEXT("%s, whence %d, offset %#llx", i % 2 ? "_llseek" : "lseek", whence, offset);
		EXPECT(0, seek_seq(fd, 1));
		if (i % 2) {
			EXPECT(want, syscall(SYS__llseek, fd, (long)(offset >> 32), (long)offset,
					     &reached, whence));
			EQUAL(want ? -2 : 0, reached);
		} else if (offset == (long)offset) {
			EXPECT(want, syscall(SYS_lseek, fd, (long)offset, whence));
		} else {
			continue;
		}
		if (next < 3)
			expect_text(fd, area, 14, next, "", "text");
		else
			EXPECT(-EAGAIN, get_record(fd, area, MOST));
	}
}

static void text(void)
{
	struct iovec from[] = { { "<30>", 4 }, { NULL, 0 }, { "par", 3 }, { "ts\n", 3 } };
	struct iovec into[] = { { area, 5 }, { area + 100, MOST } };
	int fd = device(O_RDWR | O_NONBLOCK);
	long size;

	EXPECT(0, write(fd, NULL, 0));
	put(fd, "\n");
	put(fd, "<2047>\\ \x01\xff\n");
	put(fd, "<3>not of the kernel\n");
	EXPECT(10, writev(fd, from, COUNT(from)));
	EXPECT(-EMSGSIZE, write(fd, area, 1025));
	EXPECT(-EMSGSIZE, call(CODE_32, WRITE, fd, (unsigned long)area, 0x7fffffff));
	EQUAL(4, get_info(fd).next_seq);
	expect_text(fd, area, 14, 0, "", "");
	size = get(fd, UMSG_IOC_NEXT_SIZE);
	EXPECT(-EINVAL, get_record(fd, area, size - 1));
	EXPECT(-EINVAL, get_record(fd, area, 0));
	expect_text(fd, area, 2047, 1, "", "\\x5c \\x01\\xff");
	size = get(fd, UMSG_IOC_NEXT_SIZE);
	EXPECT(size, readv(fd, into, COUNT(into)));
	BYTES("11,2,", area, 5);
	BYTES(NAME "\n", area + 100 + size - 5 - strlen(NAME "\n"), strlen(NAME "\n"));
	expect_text(fd, area, 30, 3, "", "parts");
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
}

static void *put_from_thread(void *fd)
{
	tid = gettid();
	uid = 1234;
	EXPECT(0, syscall(SYS_setresuid32, -1, uid, -1));	/* of this thread alone */
	put(*(int *)fd, "one");
	return NULL;
}

static void binary_read(void)
{
	int fd = device(O_RDWR | O_NONBLOCK);
	__u64 before = now(), time;
	pthread_t thread;

	put(fd, "<2047>exactly8");
	set_options(fd, UMSG_OPTION_BINARY_READ);
	EQUAL(72, get(fd, UMSG_IOC_NEXT_SIZE));
	EXPECT(-EINVAL, get_record(fd, area, 71));
	EXPECT(72, get_record(fd, area, 72 + 7));
	time = expect_record(area, 2047, 0, 0, "exactly8");
	EQUAL(1, before <= time && time <= now());
	EQUAL(0, pthread_create(&thread, NULL, put_from_thread, &fd));
	EQUAL(0, pthread_join(thread, NULL));
	EXPECT(72, get_record(fd, area, MOST));
	expect_record(area, 14, 1, 0, "one");
	tid = getpid();
	uid = 0;
	for (int i = 2; i < 100; i++)
		put(fd, "0123456789");
	EXPECT(56 * 80, get_record(fd, area, sizeof(area)));
	for (int i = 0; i < 56; i++)
		expect_record(area + i * 80, 14, 44 + i, i ? 0 : 42, "0123456789");
	EXPECT(-EAGAIN, get_record(fd, area, sizeof(area)));
}

static void binary_write(void)
{
	static const struct { int header_size, priority; __u32 len; int want; } errors[] = {
		{ 0, 14, 1, -EINVAL }, { 12, 14, 1, -EINVAL }, { 72, 14, 1, -EINVAL },
		{ 8, 2048, 1, -EINVAL }, { 8, 0xffff, 1, -EINVAL }, { 8, 14, 1025, -EMSGSIZE },
		{ 8, 14, 1U << 31, -EMSGSIZE }, { 8, 14, ~0U, -EMSGSIZE },
	};
	int fd = device(O_RDWR | O_NONBLOCK);
	size_t len = entry(area, 8, 2047, 5, "<3>a\n");

	set_options(fd, BINARY);
	len += entry(area + len, 64, 0, 8, "exactly8");
	len += entry(area + len, 16, 30, 0, "");
	EXPECT(16 + 72 + 16, write(fd, area, len));
	EXPECT(16 + 72, write(fd, area, len - 1));	/* the last one is incomplete */
	EXPECT(-EINVAL, write(fd, area, 15));
	area[88 + 15] = 1;				/* a field that the module does not know */
	EXPECT(-EINVAL, write(fd, area + 88, 16));
	for (size_t i = 0; i < COUNT(errors); i++) {
		CONTEXT("entry %zu", i);
		entry(area, errors[i].header_size, errors[i].priority, errors[i].len, "");
		EXPECT(errors[i].want, write(fd, area, MOST));
	}
	EXPECT(72 + 72 + 64 + 72 + 72, get_record(fd, area, sizeof(area)));
	for (int i = 0; i < 2; i++) {
		expect_record(area + 208 * i, 2047, 3 * i, 0, "<3>a\n");
		expect_record(area + 208 * i + 72, 8, 3 * i + 1, 0, "exactly8");
	}
	expect_record(area + 144, 30, 2, 0, "");
}

/*
 * Structures and buffers at each offset from a multiple of 8, below and above 2 GiB, by each way.
 * int $0x80 takes the lower half of an address.
 */
static void good_addresses(void)
{
	static const struct { enum way way; __u32 high; } cases[] = {
		{ CODE_32, 0 }, { SYSCALL_64, 0 },
		{ INT80_64, 0 }, { INT80_64, 1 }, { INT80_64, ~0U },
	};
	unsigned char *mapping = mmap(NULL, sizeof(area), PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = device(O_RDWR | O_NONBLOCK);

	EQUAL(1, (unsigned long)area < 1UL << 31 && (unsigned long)mapping >= 1UL << 31);
	for (__u64 i = 0; i < COUNT(cases) * 32; i++) {
		unsigned char *at = (i & 8 ? area : mapping) + GUARD + i % 8;
		__u64 address = HIGH(cases[i / 32].high) | (unsigned long)at;
		enum call read = i & 16 ? READV : READ, write = i & 16 ? WRITEV : WRITE;
		enum way way = cases[i / 32].way;
		struct umsg_info want;

		CONTEXT("%s, address %#llx, %s", ways[way], address, calls[read]);
		set_options(fd, 0);
		memcpy(at, "<30>text", 8);
		EXPECT(8, call(way, write, fd, address, 8));
		*(__u32 *)at = BINARY;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SET_OPTIONS));
		EQUAL(BINARY, *(__u32 *)get_by(way, fd, UMSG_IOC_GET_OPTIONS, address));
		entry(at, 8, 31, 4, "data");
		EXPECT(16, call(way, write, fd, address, 16));
		EQUAL(UMSG_ABI_VERSION, *(__u32 *)get_by(way, fd, UMSG_IOC_VERSION, address));
		EQUAL(72, *(__u32 *)get_by(way, fd, UMSG_IOC_NEXT_SIZE, address));
		want = get_info(fd);
		BYTES(&want, get_by(way, fd, UMSG_IOC_INFO, address), sizeof(want));
		memset(at, POISON, MOST);
		EXPECT(144, call(way, read, fd, address, MOST));
		BYTES(poison, at + 144, MOST - 144);
		expect_record(at, 30, 2 * i, 0, "text");
		expect_record(at + 72, 31, 2 * i + 1, 0, "data");
		*(__u64 *)at = 2 * i;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SEEK_SEQ));
		set_options(fd, 0);
		expect_text(fd, at, 30, 2 * i, "", "text");
		*(__u64 *)at = ~0ULL;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SEEK_TIME));
		EXPECT(-EAGAIN, get_record(fd, at, MOST));
	}
}

/*
 * Makes every call that takes an address, with a bad one. `cut` is 0, or a good mapping ends at
 * `address` and has the first byte (1), half (2), or all but the last byte (3) of the data.
 */
static void bad_address(enum way way, int fd, __u32 options, __u64 address, int cut)
{
	static const unsigned int commands[] = {
		UMSG_IOC_VERSION, UMSG_IOC_INFO, UMSG_IOC_GET_OPTIONS, UMSG_IOC_SET_OPTIONS,
		UMSG_IOC_SEEK_SEQ, UMSG_IOC_SEEK_TIME, UMSG_IOC_NEXT_SIZE,
	};
	/* Two sizes of each: the module copies a write of 512 bytes of text to another place. */
	static const struct { enum call call; size_t size; } transfers[] = {
		{ READ, MOST }, { READV, MOST }, { READ, sizeof(area) }, { READV, sizeof(area) },
		{ WRITE, 104 }, { WRITEV, 104 }, { WRITE, 808 }, { WRITEV, 808 },
	};
	struct umsg_info before = get_info(fd), after;
	__u32 next_size = get(fd, UMSG_IOC_NEXT_SIZE);

	for (size_t i = 0; i < COUNT(transfers) + COUNT(commands); i++) {
		int ioctl = i >= COUNT(transfers);
		enum call kind = ioctl ? IOCTL : transfers[i].call;
		size_t size = ioctl ? commands[i - COUNT(transfers)] : transfers[i].size;
		size_t data = ioctl ? _IOC_SIZE(size) : kind < WRITE ? next_size : size;
		__u64 at = address - (cut == 3 ? data - 1 : cut == 2 ? data / 2 : (size_t)cut);

		CONTEXT("%s, options %#x, %s %#x, address %#llx", ways[way], options, calls[kind],
			size, at);
		if (cut > 1 && !ioctl)		/* a valid entry, as far as the mapping goes */
			memcpy((void *)(long)at, &(struct umsg_entry){ 8, 14, size - 8 }, 8);
		EXPECT(-EFAULT, call(way, kind, fd, at, size));
		after = get_info(fd);
		BYTES(&before, &after, sizeof(before));
		EQUAL(options, get(fd, UMSG_IOC_GET_OPTIONS));
		EQUAL(next_size, get(fd, UMSG_IOC_NEXT_SIZE));
	}
}

/* With a bad address each call fails with EFAULT. It stores, consumes and changes nothing. */
static void bad_addresses(enum way way, __u64 high)
{
	unsigned char *good = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = good + 8192;
	const __u64 low[] = { 0, 4095, (long)end, (long)end + 4096, 0xfffff000, 0xfffffffd };
	/* Of user space, in no space (not canonical), of the kernel. */
	const __u64 wide[] = { HIGH(1), HIGH(1) | (unsigned long)good, 0x7fffffffe000,
			       0x7ffffffffffd, HIGH(0x8000), 1ULL << 63 | (unsigned long)good,
			       HIGH(0xffff8880), HIGH(~0U) | (unsigned long)good, -4096, ~0ULL };
	int fd = device(O_RDWR | O_NONBLOCK);
	char middle[601] = "";

	EXPECT(0, munmap(end, 4096));
	EXPECT(0, mprotect(end + 4096, 4096, PROT_NONE));
	put(fd, "zero");
	put(fd, memset(middle, 'm', 600));
	put(fd, "two");
	EXPECT(0, seek_seq(fd, 1));
	for (__u32 options = 0; options <= BINARY; options += BINARY) {
		set_options(fd, options);
		for (size_t i = 0; i < COUNT(low); i++)
			bad_address(way, fd, options, high | (__u32)low[i], 0);
		for (int cut = 1; cut <= 3; cut++)
			bad_address(way, fd, options, high | (unsigned long)end, cut);
		for (size_t i = 0; way == SYSCALL_64 && i < COUNT(wide); i++)
			bad_address(way, fd, options, wide[i], 0);
	}
	*context = 0;
	set_options(fd, 0);
	expect_text(fd, area, 14, 1, "", middle);
}

static void bad_addresses_32(void)
{
	bad_addresses(CODE_32, 0);
}

static void bad_addresses_64(void)
{
	bad_addresses(SYSCALL_64, 0);
}

static void bad_addresses_int80(void)
{
	bad_addresses(INT80_64, 0);
	bad_addresses(INT80_64, HIGH(1));
}

/* Asks a system call for some events, without a time limit or for now, and returns those it has. */
static int ready(int fd, int number, int asked, const void *timeout)
{
	struct pollfd file = { fd, asked, -1 };
	fd_set in, out, pri;
	int count, events;

	if (number == SYS_poll || number == SYS_ppoll || number == SYS_ppoll_time64) {
		if (number == SYS_poll)
			timeout = (void *)(timeout ? 0L : -1L);
		count = syscall(number, &file, 1, timeout, NULL, 0);
		EQUAL(!!file.revents, count);
		return file.revents;
	}
	FD_ZERO(&in);
	FD_SET(fd, &in);
	out = pri = in;
	count = syscall(number, fd + 1, asked & POLLIN ? &in : NULL, asked & POLLOUT ? &out : NULL,
			asked & POLLPRI ? &pri : NULL, timeout, NULL);
	events = asked & ((FD_ISSET(fd, &in) ? POLLIN : 0) | (FD_ISSET(fd, &out) ? POLLOUT : 0) |
			  (FD_ISSET(fd, &pri) ? POLLPRI : 0));
	EQUAL(__builtin_popcount(events), count);
	return events;
}

/* POLLPRI is a loss. The log of 4 KiB has 56 records. */
static void poll_events(void)
{
	static const int numbers[] = { SYS_poll, SYS_ppoll, SYS_ppoll_time64, SYS__newselect,
				       SYS_pselect6, SYS_pselect6_time64 };
	static const __u64 zero[2];	/* a timeval or timespec of any layout */
	const int all = POLLIN | POLLOUT | POLLPRI;
	int fd = device(O_RDWR | O_NONBLOCK);

	for (size_t i = 0; i < COUNT(numbers); i++) {
		CONTEXT("system call %d", numbers[i]);
		EXPECT(0, lseek(fd, 0, SEEK_END));
		EQUAL(POLLOUT, ready(fd, numbers[i], all, zero));
		put_later(fd);
		EQUAL(POLLIN, ready(fd, numbers[i], POLLIN | POLLPRI, NULL));
		EQUAL(POLLIN | POLLOUT, ready(fd, numbers[i], all, zero));
		for (int j = 0; j < 57; j++)
			put(fd, "0123456789");
		EQUAL(all, ready(fd, numbers[i], all, zero));
		EXPECT(1, get_record(fd, area, MOST) > 0);
		EQUAL(POLLIN | POLLOUT, ready(fd, numbers[i], all, zero));
	}
}

static void nonblock(void)
{
	struct iovec into = { area, MOST };
	int fd = device(O_RDWR);

	EXPECT(-EAGAIN, syscall(SYS_preadv2, fd, &into, 1, -1, -1, RWF_NOWAIT));
	EXPECT(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
	EXPECT(-EAGAIN, readv(fd, &into, 1));
	EXPECT(0, fcntl(fd, F_SETFL, 0));
	put_later(fd);
	EXPECT(1, get_record(fd, area, MOST) > 0);
}

int main(void)
{
	static const struct test tests[] = {
		{ "info", "capacity=4K policy=stop record_max=2K", info },
		{ "ioctl_errors", "", ioctl_errors },
		{ "options", "capacity=4K", options },
		{ "seek", "", seek },
		{ "lseek_offsets", "", lseek_offsets },
		{ "text", "", text },
		{ "binary_read", "capacity=4K", binary_read },
		{ "binary_write", "", binary_write },
		{ "good_addresses", "", good_addresses },
		{ "bad_addresses_32", "", bad_addresses_32 },
		{ "bad_addresses_64", "", bad_addresses_64 },
		{ "bad_addresses_int80", "", bad_addresses_int80 },
		{ "poll_events", "capacity=4K", poll_events },
		{ "nonblock", "", nonblock },
	};

	return run(tests, COUNT(tests));
}
