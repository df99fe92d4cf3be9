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
		put(fd, "text\n");
		_exit(0);
	}
}

/* All fields, with a different value in each that can have one. */
static void info(void)
{
	struct umsg_info want = { .capacity = 4096, .record_max = 2048,
				  .policy = UMSG_POLICY_STOP, .style = UMSG_STYLE_PLAIN };
	int fd = device(O_RDWR);
	struct umsg_info got = get_info(fd);

	EQUAL(1, (__u32)got.log_id && got.log_id >> 32);
	want.log_id = got.log_id;
	BYTES(&want, &got, sizeof(want));
	for (int i = 0; i < 4096 / 72; i++)
		put(fd, "0123456789");
	for (int i = 0; i < 3; i++)
		EXPECT(-ENOSPC, write(fd, "0123456789", 10));
	EXPECT(0, ioctl(fd, UMSG_IOC_CLEAR, 1));	/* the argument is ignored */
	for (int i = 0; i < 5; i++)
		put(fd, "0123456789");
	set_style(fd, UMSG_STYLE_KMSG);			/* of the file, not of the log */
	want = (struct umsg_info){ 4096, 5, 61, 56, 61, 610, 5, 50, 3, want.log_id, 2048,
				   UMSG_POLICY_STOP, UMSG_STYLE_PLAIN, 0, {} };
	got = get_info(fd);
	BYTES(&want, &got, sizeof(want));
}

static void ioctl_errors(void)
{
	static const unsigned int unknown[] = {
		_IO(UMSG_IOC_MAGIC, 9), _IO(UMSG_IOC_MAGIC, 255), _IO('U', 1), TCGETS,
		_IO(UMSG_IOC_MAGIC, 0), _IOWR(UMSG_IOC_MAGIC, 0, struct umsg_info),
		_IOR(UMSG_IOC_MAGIC, 0, __u32), _IOR(UMSG_IOC_MAGIC, 0, __u64),
		_IOR(UMSG_IOC_MAGIC, 0, char[124]), _IOR(UMSG_IOC_MAGIC, 1, __u32),
		_IOW(UMSG_IOC_MAGIC, 4, __u32), _IOR(UMSG_IOC_MAGIC, 5, __u32),
		_IOR(UMSG_IOC_MAGIC, 4, __u64), _IOW(UMSG_IOC_MAGIC, 5, __u8),
		_IOW(UMSG_IOC_MAGIC, 6, __u32), _IOR(UMSG_IOC_MAGIC, 8, __u64),
	};
	int fd = device(O_RDWR | O_NONBLOCK), reader = device(O_RDONLY), writer = device(O_WRONLY);

	memset(area, POISON, MOST);
	EXPECT(-EAGAIN, ioctl(fd, UMSG_IOC_NEXT_SIZE, area));
	BYTES(poison, area, MOST);
	put(fd, "zero\none\n");
	EXPECT(0, seek_seq(fd, 1));
	for (size_t i = 0; i < COUNT(unknown); i++) {
		CONTEXT("command %#x", unknown[i]);
		EXPECT(-ENOTTY, ioctl(fd, unknown[i], area));
		EXPECT(-ENOTTY, ioctl(fd, unknown[i], NULL));
	}
	for (int bit = 2; bit < 32; bit++) {
		__u32 options = 1U << bit | UMSG_OPTION_BINARY_READ, style = 1U << bit | (bit & 1);

		CONTEXT("bit %d", bit);
		EXPECT(-EINVAL, ioctl(fd, UMSG_IOC_SET_OPTIONS, &options));
		EXPECT(-EINVAL, ioctl(fd, UMSG_IOC_SET_STYLE, &style));
	}
	*context = 0;
	EXPECT(-EINVAL, ioctl(fd, UMSG_IOC_SET_STYLE, &(__u32){ 3 }));
	EXPECT(-EINVAL, ioctl(fd, UMSG_IOC_SET_STYLE, &(__u32){ ~0U }));
	EQUAL(0, get(fd, UMSG_IOC_GET_OPTIONS));
	EQUAL(UMSG_STYLE_LINES, get(fd, UMSG_IOC_GET_STYLE));
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
}

/* The parameters make plain the style of the log. A style belongs to an open file. */
static void styles(void)
{
	static const char *const names[] = { "lines", "kmsg", "plain" };
	int fd = device(O_RDONLY), other = device(O_WRONLY), copy = dup(fd);

	EQUAL(UMSG_STYLE_PLAIN, get(fd, UMSG_IOC_GET_STYLE));
	for (__u32 style = UMSG_STYLE_LINES; style <= UMSG_STYLE_PLAIN; style++) {
		CONTEXT("style %s", names[style]);
		set_style(fd, style);
		EQUAL(style, get(fd, UMSG_IOC_GET_STYLE));
		EQUAL(style, get(copy, UMSG_IOC_GET_STYLE));
		expect_fdinfo(fd, "style:", names[style]);
		EQUAL(UMSG_STYLE_PLAIN, get(other, UMSG_IOC_GET_STYLE));
		expect_fdinfo(other, "style:", "plain");
		EQUAL(0, get(fd, UMSG_IOC_GET_OPTIONS));
	}
	set_style(other, UMSG_STYLE_LINES);
	put(other, "one\ntwo");
	set_style(other, UMSG_STYLE_KMSG);
	put(other, "<30>a\nb\n\n");
	set_style(other, UMSG_STYLE_PLAIN);
	put(other, "c\nd");
	for (__u32 style = UMSG_STYLE_LINES; style <= UMSG_STYLE_PLAIN; style++) {
		const char *keys = style == UMSG_STYLE_PLAIN ? NULL : "";

		CONTEXT("style %s", names[style]);
		set_style(fd, style);
		EXPECT(0, lseek(fd, 0, SEEK_SET));
		expect_text(fd, area, 14, 0, keys, "one");
		expect_text(fd, area, 14, 1, keys, "two");
		expect_text(fd, area, 30, 2, keys, "a\\x0ab\\x0a");
		expect_text(fd, area, 14, 3, keys, "c\\x0ad");
	}
}

/* The log of 4 KiB has 56 of the 60 records. */
static void loss(void)
{
	int writer = device(O_WRONLY), fd[3], binary[3];

	for (__u32 style = UMSG_STYLE_LINES; style <= UMSG_STYLE_PLAIN; style++) {
		fd[style] = device_in(style, O_RDONLY | O_NONBLOCK);
		binary[style] = device_in(style, O_RDONLY | O_NONBLOCK);
		set_options(binary[style], UMSG_OPTION_BINARY_READ);
	}
	for (int i = 0; i < 60; i++)
		put(writer, "0123456789\n");
	expect_text(fd[UMSG_STYLE_LINES], area, 14, 4, " LOST=4\n", "0123456789");
	expect_text(fd[UMSG_STYLE_LINES], area, 14, 5, "", "0123456789");
	expect_fdinfo(fd[UMSG_STYLE_LINES], "lost:", "4");
	EXPECT(80, get_record(binary[UMSG_STYLE_LINES], area, 80));
	expect_record(area, 14, 4, 4, "0123456789");
	for (__u32 style = UMSG_STYLE_KMSG; style <= UMSG_STYLE_PLAIN; style++) {
		const char *keys = style == UMSG_STYLE_PLAIN ? NULL : "";

		CONTEXT("style %u", style);
		EXPECT(-EPIPE, get_record(fd[style], area, MOST));
		expect_text(fd[style], area, 14, 4, keys, "0123456789");
		expect_text(fd[style], area, 14, 5, keys, "0123456789");
		expect_fdinfo(fd[style], "lost:", "4");
		EXPECT(-EPIPE, get_record(binary[style], area, MOST));
		EXPECT(80, get_record(binary[style], area, 80));
		expect_record(area, 14, 4, 0, "0123456789");
	}
	for (int i = 0; i < 57; i++)
		put(writer, "0123456789\n");
	expect_text(fd[UMSG_STYLE_LINES], area, 14, 61, " LOST=55\n", "0123456789");
	EXPECT(-EPIPE, get_record(fd[UMSG_STYLE_KMSG], area, MOST));
	expect_text(fd[UMSG_STYLE_KMSG], area, 14, 61, "", "0123456789");
}

/*
 * Text that is longer than the buffer is cut. A buffer without room for head and keys is EINVAL,
 * which consumes the record in the styles kmsg and plain.
 */
static void cut(void)
{
	int fd = device(O_RDWR | O_NONBLOCK);
	char most[1025] = "", key[16];
	__u32 size, missing;

	memset(most, 'x', 1024);
	put(fd, "\\ \x01\xff\n");
	put(fd, "next\n");
	size = get(fd, UMSG_IOC_NEXT_SIZE);
	expect_cut(size, fd, area, 14, 0, "", "\\x5c \\x01\\xff");
	EXPECT(0, seek_seq(fd, 0));
	expect_cut(size - 1, fd, area, 14, 0, " CUT=2\n", "\\x5c ");
	EXPECT(0, seek_seq(fd, 0));
	expect_cut(size - 6, fd, area, 14, 0, " CUT=4\n", "");
	EXPECT(0, seek_seq(fd, 0));
	EXPECT(-EINVAL, get_record(fd, area, size - 7));
	EXPECT(-EINVAL, get_record(fd, area, 1));
	EXPECT(-EINVAL, get_record(fd, area, 0));
	EQUAL(size, get(fd, UMSG_IOC_NEXT_SIZE));
	expect_fdinfo(fd, "lost:", "0");
	set_style(fd, UMSG_STYLE_KMSG);
	EQUAL(size, get(fd, UMSG_IOC_NEXT_SIZE));
	expect_cut(size - 1, fd, area, 14, 0, " CUT=2\n", "\\x5c ");
	EXPECT(0, seek_seq(fd, 0));
	EXPECT(-EINVAL, get_record(fd, area, size - 7));
	expect_fdinfo(fd, "lost:", "1");
	expect_text(fd, area, 14, 1, "", "next");
	set_style(fd, UMSG_STYLE_PLAIN);
	EXPECT(0, seek_seq(fd, 0));
	size = get(fd, UMSG_IOC_NEXT_SIZE);
	expect_cut(size, fd, area, 14, 0, NULL, "\\x5c \\x01\\xff");
	EXPECT(0, seek_seq(fd, 0));
	expect_cut(size - 1, fd, area, 14, 0, NULL, "\\x5c \\x01");
	EXPECT(0, seek_seq(fd, 0));
	expect_cut(size - 13, fd, area, 14, 0, NULL, "");
	EXPECT(0, seek_seq(fd, 0));
	EXPECT(-EINVAL, get_record(fd, area, size - 14));
	expect_fdinfo(fd, "lost:", "2");
	expect_text(fd, area, 14, 1, NULL, "next");
	set_options(fd, UMSG_OPTION_BINARY_READ);
	EXPECT(0, seek_seq(fd, 0));
	EXPECT(-EINVAL, get_record(fd, area, 71));
	expect_fdinfo(fd, "lost:", "3");
	EXPECT(72, get_record(fd, area, MOST));
	expect_record(area, 14, 1, 0, "next");
	/* The longest text, in the buffer of 1 KiB that a reader may have. */
	set_options(fd, 0);
	put(fd, most);
	set_style(fd, UMSG_STYLE_LINES);
	size = get(fd, UMSG_IOC_NEXT_SIZE);
	missing = size + strlen(" CUT=1234\n") - 1024;
	snprintf(key, sizeof(key), " CUT=%u\n", missing);
	most[1024 - missing] = 0;
	expect_cut(1024, fd, area, 14, 2, key, most);
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
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
		put(fd, "text\n");
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
		{ SEEK_SET, 1, 1, -ESPIPE }, { SEEK_SET, 1, -1, -ESPIPE },
		{ SEEK_SET, 1, HIGH(1), -ESPIPE }, { SEEK_DATA, 1, HIGH(0x7fffffff), -ESPIPE },
		{ SEEK_END, 1, HIGH(0x80000000), -ESPIPE }, { SEEK_END, 1, -1, -ESPIPE },
		{ SEEK_CUR, 1, 1, -ESPIPE }, { SEEK_HOLE, 1, HIGH(1), -ESPIPE },
		{ SEEK_CUR, 1, 0, -EINVAL }, { SEEK_HOLE, 1, 0, -EINVAL }, { -1, 1, 0, -EINVAL },
		{ SEEK_HOLE + 1, 1, 0, -EINVAL }, { -1, 1, 1, -EINVAL },
	};
	int fd = device(O_RDWR | O_NONBLOCK);

	put(fd, "text\ntext\n");
	EXPECT(0, ioctl(fd, UMSG_IOC_CLEAR));
	put(fd, "text\n");
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
	int fd = device_in(UMSG_STYLE_KMSG, O_RDWR | O_NONBLOCK);
	long size;

	EXPECT(0, write(fd, NULL, 0));
	put(fd, "\n");
	put(fd, "<2047>\\ \x01\xff\n");
	put(fd, "<3>not of the kernel\n");
	EXPECT(10, writev(fd, from, COUNT(from)));
	EXPECT(-EMSGSIZE, write(fd, area, 1025));
	EXPECT(-EMSGSIZE, call(CODE_32, WRITE, fd, (unsigned long)area, 0x7fffffff));
	set_style(fd, UMSG_STYLE_PLAIN);
	EXPECT(-EMSGSIZE, write(fd, area, 1025));
	EXPECT(-EMSGSIZE, call(CODE_32, WRITE, fd, (unsigned long)area, 0x7fffffff));
	set_style(fd, UMSG_STYLE_LINES);
	EQUAL(4, get_info(fd).next_seq);
	expect_text(fd, area, 14, 0, "", "");
	size = get(fd, UMSG_IOC_NEXT_SIZE);
	EXPECT(-EINVAL, get_record(fd, area, 0));
	expect_cut(size, fd, area, 2047, 1, "", "\\x5c \\x01\\xff");
	size = get(fd, UMSG_IOC_NEXT_SIZE);
	EXPECT(size, readv(fd, into, COUNT(into)));
	BYTES("11,2,", area, 5);
	BYTES(NAME "\n", area + 100 + size - 5 - strlen(NAME "\n"), strlen(NAME "\n"));
	expect_text(fd, area, 30, 3, "", "parts");
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
}

/* Reads the records of the stream in lines() from sequence number `seq` on, in both formats. */
static void expect_lines(int reader, int binary, __u64 seq)
{
	static const struct { int priority, flags; const char *text; } records[] = {
		{ 11, 0, "one" }, { 12, 0, "exactly 10" }, { 14, 0, "two" }, { 14, 0, "" },
		{ 13, 0, "longer tha" }, { 13, UMSG_RECORD_CONTINUES, "n ten byte" },
		{ 13, UMSG_RECORD_CONTINUES, "s" }, { 14, 0, "end" },
	};
	unsigned char *at = area;

	for (size_t i = 0; i < COUNT(records); i++)
		expect_flag(records[i].flags ? "c" : "-", reader, area, records[i].priority,
			    seq + i, "", records[i].text);
	EXPECT(-EAGAIN, get_record(reader, area, MOST));
	EXPECT(8 * 64 + 8 + 16 + 8 + 16 + 16 + 8 + 8, get_record(binary, area, MOST));
	for (size_t i = 0; i < COUNT(records); i++) {
		expect_flags(records[i].flags, at, records[i].priority, seq + i, 0,
			     records[i].text);
		at += UMSG_SIZE((struct umsg_record *)at);
	}
}

/* A stream by two calls, by one call with two segments, cut at each byte; and byte by byte. */
static void lines(void)
{
	static char stream[] = "<11>one\n<12>exactly 10\ntwo\n\n<13>longer than ten bytes\nend\n";
	const long len = strlen(stream);
	int fd = device(O_WRONLY), reader = device(O_RDONLY | O_NONBLOCK);
	int binary = device(O_RDONLY | O_NONBLOCK);
	__u64 seq = 0;

	set_options(binary, UMSG_OPTION_BINARY_READ);
	for (long first = 0; first <= len; first++) {
		struct iovec from[] = { { stream, first }, { stream + first, len - first } };

		CONTEXT("cut at %ld", first);
		EXPECT(first, write(fd, stream, first));
		EXPECT(len - first, write(fd, stream + first, len - first));
		expect_lines(reader, binary, seq);
		EXPECT(len, writev(fd, from, COUNT(from)));
		expect_lines(reader, binary, seq + 8);
		seq += 16;
	}
	CONTEXT("byte by byte");
	for (long i = 0; i < len; i++)
		EXPECT(1, write(fd, stream + i, 1));
	expect_lines(reader, binary, seq);
}

/* A line without its newline becomes a record for one of four reasons. */
static void lines_without_newline(void)
{
	int fd = device(O_RDWR | O_NONBLOCK), other = device(O_WRONLY), copy = dup(other), status;
	pid_t self = pid, child;

	/* Another process writes. */
	put(fd, "<9>half");
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
	child = fork();
	if (!child) {
		put(fd, "<10>the child's\nand its half");
		_exit(0);
	}
	EXPECT(child, waitpid(child, &status, 0));
	EQUAL(0, status);
	expect_text(fd, area, 9, 0, "", "half");
	pid = tid = child;
	expect_text(fd, area, 10, 1, "", "the child's");
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
	put(other, "of another file\n");
	put(fd, "mine\n");
	pid = tid = self;
	expect_text(fd, area, 14, 2, "", "of another file");
	pid = tid = child;
	expect_text(fd, area, 14, 3, "", "and its half");
	pid = tid = self;
	expect_text(fd, area, 14, 4, "", "mine");
	/* Another real user id writes; another effective one does not matter. */
	put(fd, "root's half");
	EXPECT(0, setresuid(1234, -1, -1));
	put(fd, "<11>a user's half");
	expect_text(fd, area, 14, 5, "", "root's half");
	EXPECT(0, seteuid(1234));
	put(fd, " and the rest\n");
	EXPECT(0, seteuid(0));
	EXPECT(0, setresuid(0, -1, -1));
	uid = 1234;
	expect_text(fd, area, 11, 6, "", "a user's half and the rest");
	uid = 0;
	/* Another kind of write follows: in another style, or in the binary format. */
	put(fd, "half");
	set_style(fd, UMSG_STYLE_KMSG);
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
	put(fd, "a\nb");
	expect_text(fd, area, 14, 7, "", "half");
	expect_text(fd, area, 14, 8, "", "a\\x0ab");
	set_style(fd, UMSG_STYLE_LINES);
	put(fd, "again half");
	set_options(fd, UMSG_OPTION_BINARY_WRITE);
	EXPECT(16, write(fd, area, entry(area, 8, 31, 4, "data")));
	expect_text(fd, area, 14, 9, "", "again half");
	expect_text(fd, area, 31, 10, "", "data");
	/* The file is released. */
	put(other, "<12>half");
	EXPECT(0, close(other));
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
	EXPECT(0, close(copy));
	expect_text(fd, area, 12, 11, "", "half");
	EXPECT(-EAGAIN, get_record(fd, area, MOST));
}

/* A log of 4 KiB that is full takes the lines that fit, here 56. */
static void lines_when_full(void)
{
	int fd = device(O_RDWR | O_NONBLOCK);

	for (int i = 0; i < 100; i++)
		memcpy(area + 17 * i, "0123456789abcdef\n", 17);
	EXPECT(56 * 17, write(fd, area, 100 * 17));
	EXPECT(-ENOSPC, write(fd, area, 17));
	put(fd, "half");
	EXPECT(-ENOSPC, write(fd, " a line\n", 8));
	EXPECT(0, ioctl(fd, UMSG_IOC_CLEAR));
	EXPECT(0, lseek(fd, 0, SEEK_DATA));
	put(fd, " a line\n");
	expect_text(fd, area, 14, 56, "", "half a line");
}

/* A write of the largest size ends where the memory does. */
static void lines_of_2g(void)
{
	char *at = mmap(NULL, 4 * 4096 + 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = device(O_RDWR | O_NONBLOCK);

	for (int i = 0; i < 4 * 4096; i += 16)
		memcpy(at + i, "0123456789abcde\n", 16);
	EXPECT(0, munmap(at + 4 * 4096, 4096));
	EXPECT(4 * 4096, call(CODE_32, WRITE, fd, (unsigned long)at, 0x7fffffff));
	EXPECT(-EFAULT, call(CODE_32, WRITE, fd, (unsigned long)at + 3 * 4096, 0x7fffffff));
	EQUAL(1024, get_info(fd).next_seq);
	EXPECT(0, seek_seq(fd, 1023));
	expect_text(fd, area, 14, 1023, "", "0123456789abcde");
	put(fd, "end\n");
	expect_text(fd, area, 14, 1024, "", "end");
}

/* UID is the real user id of the writer, OPENER the effective one that opened the file. */
static void identity(void)
{
	int fd = device(O_RDWR | O_NONBLOCK), own;

	EXPECT(0, setresuid(70001, 70002, -1));
	own = device(O_WRONLY);
	put(fd, "one\n");
	put(own, "two\n");
	EXPECT(0, seteuid(0));
	EXPECT(0, setresuid(70002, 70003, -1));
	put(own, "three\n");
	for (__u32 options = 0; options <= UMSG_OPTION_BINARY_READ; options++) {
		CONTEXT("options %u", options);
		set_options(fd, options);
		for (__u64 i = 0; i < 3; i++) {
			static const char *const texts[] = { "one", "two", "three" };

			uid = i < 2 ? 70001 : 70002;
			opener = i < 1 ? 0 : 70002;
			if (!options) {
				expect_text(fd, area, 14, i, "", texts[i]);
				continue;
			}
			EXPECT(72, get_record(fd, area, 72));
			expect_record(area, 14, i, 0, texts[i]);
		}
		EXPECT(0, lseek(fd, 0, SEEK_SET));
	}
}

static void *put_from_thread(void *fd)
{
	tid = gettid();
	uid = 1234;
	EXPECT(0, syscall(SYS_setresuid32, uid, -1, -1));	/* of this thread alone */
	put(*(int *)fd, "one");
	return NULL;
}

static void binary_read(void)
{
	int fd = device_in(UMSG_STYLE_KMSG, O_RDWR | O_NONBLOCK);
	__u64 before = now(), time;
	pthread_t thread;

	put(fd, "<2047>exactly8");
	set_options(fd, UMSG_OPTION_BINARY_READ);
	EQUAL(72, get(fd, UMSG_IOC_NEXT_SIZE));
	set_style(fd, UMSG_STYLE_LINES);
	EXPECT(-EINVAL, get_record(fd, area, 71));
	EXPECT(72, get_record(fd, area, 72 + 7));
	time = expect_record(area, 2047, 0, 0, "exactly8");
	EQUAL(1, before <= time && time <= now());
	set_style(fd, UMSG_STYLE_KMSG);
	EQUAL(0, pthread_create(&thread, NULL, put_from_thread, &fd));
	EQUAL(0, pthread_join(thread, NULL));
	EXPECT(72, get_record(fd, area, MOST));
	expect_record(area, 14, 1, 0, "one");
	tid = getpid();
	uid = 0;
	for (int i = 2; i < 100; i++)
		put(fd, "0123456789");
	set_style(fd, UMSG_STYLE_LINES);
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
	entry(area, 8, 14, 1, "x");
	((struct umsg_entry *)area)->reserved = 1;
	EXPECT(-EINVAL, write(fd, area, 16));
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
		__u32 style = i % 3;
		struct umsg_info want;

		CONTEXT("%s, address %#llx, %s, style %u", ways[way], address, calls[read], style);
		set_options(fd, 0);
		*(__u32 *)at = style;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SET_STYLE));
		EQUAL(style, *(__u32 *)get_by(way, fd, UMSG_IOC_GET_STYLE, address));
		memcpy(at, "<30>text\n", 9);
		EXPECT(9, call(way, write, fd, address, 9));
		*(__u32 *)at = BINARY;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SET_OPTIONS));
		EQUAL(BINARY, *(__u32 *)get_by(way, fd, UMSG_IOC_GET_OPTIONS, address));
		entry(at, 8, 31, 4, "data");
		EXPECT(16, call(way, write, fd, address, 16));
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
		expect_text(fd, at, 30, 2 * i, style == UMSG_STYLE_PLAIN ? NULL : "", "text");
		*(__u64 *)at = ~0ULL;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SEEK_TIME));
		EXPECT(-EAGAIN, get_record(fd, at, MOST));
	}
}

/*
 * Makes every call that takes an address, with a bad one. `cut` is 0, or a good mapping ends at
 * `address` and has the first byte (1), half (2), or all but the last byte (3) of the data.
 */
static void bad_address(enum way way, int fd, __u32 style, __u32 options, __u64 address, int cut)
{
	static const unsigned int commands[] = {
		UMSG_IOC_INFO, UMSG_IOC_GET_OPTIONS, UMSG_IOC_SET_OPTIONS, UMSG_IOC_GET_STYLE,
		UMSG_IOC_SET_STYLE, UMSG_IOC_SEEK_SEQ, UMSG_IOC_SEEK_TIME, UMSG_IOC_NEXT_SIZE,
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

		CONTEXT("%s, style %u, options %#x, %s %#x, address %#llx", ways[way], style,
			options, calls[kind], size, at);
		if (cut > 1 && !ioctl)		/* a valid entry, as far as the mapping goes */
			memcpy((void *)(long)at, &(struct umsg_entry){ 8, 0, 14, size - 8 }, 8);
		EXPECT(-EFAULT, call(way, kind, fd, at, size));
		after = get_info(fd);
		BYTES(&before, &after, sizeof(before));
		EQUAL(options, get(fd, UMSG_IOC_GET_OPTIONS));
		EQUAL(style, get(fd, UMSG_IOC_GET_STYLE));
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
	/* A binary write is the same in each style. */
	static const struct { __u32 style, options; } files[] = {
		{ UMSG_STYLE_LINES, 0 }, { UMSG_STYLE_KMSG, 0 }, { UMSG_STYLE_PLAIN, 0 },
		{ UMSG_STYLE_LINES, BINARY }, { UMSG_STYLE_KMSG, BINARY },
	};
	int fd = device_in(UMSG_STYLE_KMSG, O_RDWR | O_NONBLOCK);
	char middle[601] = "";

	EXPECT(0, munmap(end, 4096));
	EXPECT(0, mprotect(end + 4096, 4096, PROT_NONE));
	put(fd, "zero");
	put(fd, memset(middle, 'm', 600));
	put(fd, "two");
	EXPECT(0, seek_seq(fd, 1));
	for (size_t i = 0; i < COUNT(files); i++) {
		__u32 style = files[i].style, options = files[i].options;

		set_style(fd, style);
		set_options(fd, options);
		for (size_t j = 0; j < COUNT(low); j++)
			bad_address(way, fd, style, options, high | (__u32)low[j], 0);
		for (int cut = 1; cut <= 3; cut++)
			bad_address(way, fd, style, options, high | (unsigned long)end, cut);
		for (size_t j = 0; way == SYSCALL_64 && j < COUNT(wide); j++)
			bad_address(way, fd, style, options, wide[j], 0);
	}
	*context = 0;
	set_options(fd, 0);
	set_style(fd, UMSG_STYLE_LINES);
	expect_text(fd, area, 14, 1, "", middle);
	expect_text(fd, area, 14, 2, "", "two");
	put(fd, "three\n");				/* no bytes of a line before it */
	expect_text(fd, area, 14, 3, "", "three");
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

/*
 * POLLPRI is a loss, to which the style kmsg adds POLLERR; select() has no set for it. The log
 * of 4 KiB has 56 records.
 */
static void poll_events(void)
{
	static const int numbers[] = { SYS_poll, SYS_ppoll, SYS_ppoll_time64, SYS__newselect,
				       SYS_pselect6, SYS_pselect6_time64 };
	static const __u64 zero[2];	/* a timeval or timespec of any layout */
	const int all = POLLIN | POLLOUT | POLLPRI;
	int fd = device(O_RDWR | O_NONBLOCK);

	for (size_t i = 0; i < 2 * COUNT(numbers); i++) {
		int number = numbers[i / 2], error = i % 2 && i / 2 < 3 ? POLLERR : 0;

		CONTEXT("system call %d, style %zu", number, i % 2);
		set_style(fd, i % 2 ? UMSG_STYLE_KMSG : UMSG_STYLE_LINES);
		EXPECT(0, lseek(fd, 0, SEEK_END));
		EQUAL(POLLOUT, ready(fd, number, all, zero));
		put_later(fd);
		EQUAL(POLLIN, ready(fd, number, POLLIN | POLLPRI, NULL));
		EQUAL(POLLIN | POLLOUT, ready(fd, number, all, zero));
		for (int j = 0; j < 57; j++)
			put(fd, "0123456789\n");
		EQUAL(all | error, ready(fd, number, all, zero));
		if (i % 2)
			EXPECT(-EPIPE, get_record(fd, area, MOST));
		else
			EXPECT(1, get_record(fd, area, MOST) > 0);
		EQUAL(POLLIN | POLLOUT, ready(fd, number, all, zero));
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
		{ "info", "capacity=4K policy=stop record_max=2K style=plain", info },
		{ "ioctl_errors", "", ioctl_errors },
		{ "options", "", options },
		{ "styles", "style=plain", styles },
		{ "loss", "capacity=4K", loss },
		{ "cut", "", cut },
		{ "seek", "", seek },
		{ "lseek_offsets", "", lseek_offsets },
		{ "text", "", text },
		{ "lines", "record_max=10", lines },
		{ "lines_without_newline", "", lines_without_newline },
		{ "lines_when_full", "capacity=4K policy=stop", lines_when_full },
		{ "lines_of_2g", "", lines_of_2g },
		{ "identity", "mode=0666", identity },
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
