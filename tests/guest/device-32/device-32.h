/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tests of the device by a 32-bit program: checks, system calls and a runner. See main.c.
 */
#ifndef DEVICE_32_H
#define DEVICE_32_H

#define _GNU_SOURCE
#include "umsg.h"	/* src/uapi; first, because it must not need another header */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NAME		"device-32"	/* the command name of this program */
#define POISON		0xa5
#define GUARD		16		/* bytes of poison before and after a structure */
#define MOST		4096		/* more than a read of one record returns here */
#define HIGH(bits)	((__u64)(bits) << 32)
#define COUNT(array)	(sizeof(array) / sizeof(*(array)))
#define BINARY		(UMSG_OPTION_BINARY_READ | UMSG_OPTION_BINARY_WRITE)

extern unsigned char area[16384] __attribute__((aligned(8)));
extern unsigned char poison[sizeof(area)];
extern pid_t pid, tid;	/* the writer's identity in the expected records */
extern uid_t uid, opener;

/* The current case of a loop, for the message of a failed check. */
extern char context[128];
#define CONTEXT(...) snprintf(context, sizeof(context), "; " __VA_ARGS__)

void check(const char *place, const char *name, long long want, long long got);
void check_bytes(const char *place, const char *name, const void *want, const void *got,
		size_t len);

#define LINE_(line) #line
#define LINE(line) LINE_(line)
#define HERE __FILE_NAME__ ":" LINE(__LINE__)

/* Compare a value, the result of a system call, or `len` bytes. A difference ends the test. */
#define EQUAL(want, value) check(HERE, #value, want, value)
#define EXPECT(want, call) check(HERE, #call, want, ({ long r_ = call; r_ == -1 ? -errno : r_; }))
#define BYTES(want, got, len) check_bytes(HERE, #got, want, got, len)

/* The ways to make a system call, and the system calls. */
enum way { CODE_32, SYSCALL_64, INT80_64 };
extern const char *const ways[];
enum call { READ, READV, WRITE, WRITEV, IOCTL };
extern const char *const calls[];

/* Makes a call with `size` bytes at `address`, or with the ioctl command `size`. */
long call(enum way way, enum call call, int fd, __u64 address, __u64 size);

/* Opens the device in the style of the log, which is lines by default. */
int device(int flags);
void set_style(int fd, __u32 style);

/* Opens the device and sets the style of the open file. */
int device_in(__u32 style, int flags);

/* Writes `text`, and checks that the call consumes all of it. */
void put(int fd, const char *text);

/* Calls an ioctl that returns a structure, and checks that no byte around it changes. */
void *get_by(enum way way, int fd, unsigned int command, __u64 address);
__u32 get(int fd, unsigned int command);
struct umsg_info get_info(int fd);
void set_options(int fd, __u32 options);
long seek_seq(int fd, __u64 seq);
long seek_time(int fd, __u64 time_ns);

/* Reads, and checks that no byte after the result changes. */
long get_record(int fd, unsigned char *at, size_t len);

/*
 * Reads a record in the text format into `room` bytes, checks it, and returns its time in
 * microseconds. `keys` are the keys after the writer's identity; NULL if the record must have no
 * keys at all.
 */
__u64 expect_text_at(const char *place, const char *flag, size_t room, int fd, unsigned char *at,
		int priority, __u64 seq, const char *keys, const char *text);
#define expect_text(...) expect_text_at(HERE, "-", MOST, __VA_ARGS__)
#define expect_cut(room, ...) expect_text_at(HERE, "-", room, __VA_ARGS__)
#define expect_flag(flag, ...) expect_text_at(HERE, flag, MOST, __VA_ARGS__)

/* Checks a record in the binary format, and returns its time in nanoseconds. */
__u64 expect_record_at(const char *place, int flags, unsigned char *at, int priority, __u64 seq,
		__u64 lost, const char *text);
#define expect_record(...) expect_record_at(HERE, 0, __VA_ARGS__)
#define expect_flags(flags, ...) expect_record_at(HERE, flags, __VA_ARGS__)

/* Checks that the fdinfo of `fd` has a line of `key`, a tab and `value`. */
void expect_fdinfo_at(const char *place, int fd, const char *key, const char *value);
#define expect_fdinfo(...) expect_fdinfo_at(HERE, __VA_ARGS__)

/* Makes an entry for a binary write, and returns its size. */
size_t entry(unsigned char *at, int header_size, int priority, __u32 len, const char *text);

/* Returns CLOCK_MONOTONIC in nanoseconds. */
__u64 now(void);

struct test {
	const char *name;
	const char *parameters;		/* of the module */
	void (*run)(void);
};

/* Runs the tests, and returns the exit status. */
int run(const struct test *tests, size_t count);

/* The tests. */
void test_info(void);
void test_ioctl_errors(void);
void test_options(void);
void test_styles(void);
void test_loss(void);
void test_cut(void);
void test_seek(void);
void test_lseek_offsets(void);
void test_text(void);
void test_lines(void);
void test_lines_without_newline(void);
void test_lines_when_full(void);
void test_lines_of_2g(void);
void test_identity(void);
void test_binary_read(void);
void test_binary_write(void);
void test_good_addresses(void);
void test_bad_addresses_32(void);
void test_bad_addresses_64(void);
void test_bad_addresses_int80(void);
void test_poll_events(void);
void test_nonblock(void);

#endif /* DEVICE_32_H */
