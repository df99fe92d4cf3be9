/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks, system calls and a runner for the tests in device-32.c.
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
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME		"device-32"	/* the command name of this program */
#define POISON		0xa5
#define GUARD		16		/* bytes of poison before and after a structure */
#define MOST		4096		/* more than a read of one record returns here */
#define HIGH(bits)	((__u64)(bits) << 32)
#define COUNT(array)	(sizeof(array) / sizeof(*(array)))

static unsigned char area[16384] __attribute__((aligned(8)));
static unsigned char poison[sizeof(area)];
static pid_t pid, tid;	/* of the writer of the expected records */
static uid_t uid, opener;

/* The case of a loop, for the message of a failed check. */
static char context[128];
#define CONTEXT(...) snprintf(context, sizeof(context), "; " __VA_ARGS__)

static const char *errno_name(long long value)
{
	const char *name = value < 0 && value > -4096 ? strerrorname_np(-value) : NULL;

	return name ? name : "";
}

static void check(const char *place, const char *name, long long want, long long got)
{
	if (got == want)
		return;
	printf("# %s: %s: got %lld %s, expected %lld %s%s\n", place, name, got,
	       errno_name(got), want, errno_name(want), context);
	exit(1);
}

static void check_bytes(const char *place, const char *name, const void *want, const void *got,
			size_t len)
{
	char byte[80];

	for (size_t i = 0; i < len; i++) {
		snprintf(byte, sizeof(byte), "byte %zu of %s", i, name);
		check(place, byte, ((const __u8 *)want)[i], ((const __u8 *)got)[i]);
	}
}

#define LINE_(line) #line
#define LINE(line) LINE_(line)
#define HERE __FILE_NAME__ ":" LINE(__LINE__)

/* Each ends the test unless it holds: a value, the result of a system call, `len` bytes. */
#define EQUAL(want, value) check(HERE, #value, want, value)
#define EXPECT(want, call) check(HERE, #call, want, ({ long r_ = call; r_ == -1 ? -errno : r_; }))
#define BYTES(want, got, len) check_bytes(HERE, #got, want, got, len)

/* The ways into the kernel, and the system calls of each. */
enum way { CODE_32, SYSCALL_64, INT80_64 };
static const char *const ways[] = { "32-bit code", "syscall in 64-bit code", "int $0x80 in 64-bit code" };
enum call { READ, READV, WRITE, WRITEV, IOCTL };
static const char *const calls[] = { "read", "readv", "write", "writev", "ioctl" };
static const int numbers_32[] = { SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_ioctl };
static const int numbers_64[] = { 0, 19, 1, 20, 16 };

/*
 * Makes a system call from 64-bit code, which a far call to its segment reaches: by int $0x80 if
 * regs[4] is not 0, else by syscall. regs[0] to regs[3] are the number, which the result replaces,
 * and three arguments.
 */
void call64(__u64 *regs);
__asm__(".pushsection .text\n"
	"call64: push %ebx; push %esi; push %edi; push %ebp\n"
	"	mov	20(%esp), %ebp\n"
	"	lcall	$0x33, $1f\n"
	"	pop %ebp; pop %edi; pop %esi; pop %ebx; ret\n"
	".code64\n"
	"1:	mov	%esp, %esp\n"	/* clear the upper halves */
	"	mov	%ebp, %ebp\n"
	"	mov	(%rbp), %rax\n"
	"	mov	24(%rbp), %rdx\n"
	"	cmpl	$0, 32(%rbp)\n"
	"	jne	2f\n"
	"	mov	8(%rbp), %rdi\n"
	"	mov	16(%rbp), %rsi\n"
	"	syscall\n"
	"	jmp	3f\n"
	"2:	mov	8(%rbp), %rbx\n"
	"	mov	16(%rbp), %rcx\n"
	"	int	$0x80\n"
	"3:	mov	%rax, (%rbp)\n"
	"	lretl\n"
	".code32\n"
	".popsection\n");

/* Makes a call with `size` bytes at `address`, or with the ioctl command `size`. */
static long call(enum way way, enum call call, int fd, __u64 address, __u64 size)
{
	__u64 regs[5], vector_64[] = { address, size };
	__u32 vector_32[] = { address, size };

	if (call == READV || call == WRITEV) {
		size = 1;
		address = way == SYSCALL_64 ? (unsigned long)vector_64 :
			  (address & HIGH(~0U)) | (unsigned long)vector_32;
	}
	regs[0] = way == SYSCALL_64 ? numbers_64[call] : numbers_32[call];
	regs[1] = fd;
	regs[2] = call == IOCTL ? size : address;
	regs[3] = call == IOCTL ? address : size;
	regs[4] = way == INT80_64;
	if (way == CODE_32)
		return syscall(regs[0], fd, (long)regs[2], (long)regs[3]);
	call64(regs);
	if (regs[0] < -4095ULL)
		return regs[0];
	errno = -regs[0];
	return -1;
}

/* Opens the device in the style of the log, which is lines by default. */
static int device(int flags)
{
	int fd = open("/dev/umsg", flags);

	EQUAL(1, fd >= 0);
	return fd;
}

static void set_style(int fd, __u32 style)
{
	EXPECT(0, ioctl(fd, UMSG_IOC_SET_STYLE, &style));
}

/* Opens the device in another style than that of the log. */
static int device_in(__u32 style, int flags)
{
	int fd = device(flags);

	set_style(fd, style);
	return fd;
}

static void put(int fd, const char *text)
{
	EXPECT(strlen(text), write(fd, text, strlen(text)));
}

/* Calls an ioctl that returns a structure, and checks that the bytes around it stay. */
static void *get_by(enum way way, int fd, unsigned int command, __u64 address)
{
	unsigned char *at = (void *)(unsigned long)address;
	size_t size = _IOC_SIZE(command);

	memset(at - GUARD, POISON, GUARD + size + GUARD);
	EXPECT(0, call(way, IOCTL, fd, address, command));
	BYTES(poison, at - GUARD, GUARD);
	BYTES(poison, at + size, GUARD);
	return at;
}

static __u32 get(int fd, unsigned int command)
{
	return *(__u32 *)get_by(CODE_32, fd, command, (unsigned long)area + GUARD);
}

static struct umsg_info get_info(int fd)
{
	return *(struct umsg_info *)get_by(CODE_32, fd, UMSG_IOC_INFO, (unsigned long)area + GUARD);
}

static void set_options(int fd, __u32 options)
{
	EXPECT(0, ioctl(fd, UMSG_IOC_SET_OPTIONS, &options));
}

static long seek_seq(int fd, __u64 seq)
{
	return ioctl(fd, UMSG_IOC_SEEK_SEQ, &seq);
}

static long seek_time(int fd, __u64 time_ns)
{
	return ioctl(fd, UMSG_IOC_SEEK_TIME, &time_ns);
}

/* Reads, and checks that the bytes after the result stay. */
static long get_record(int fd, unsigned char *at, size_t len)
{
	memset(at, POISON, len);
	long got = read(fd, at, len), end = got < 0 ? 0 : got;

	BYTES(poison, at + end, len - end);
	return got;
}

/*
 * Reads a record in the text format into `room` bytes, and returns its time in microseconds. `keys`
 * are the lines after those of the writer; NULL if there must be no lines of keys.
 */
static __u64 expect_text_at(const char *place, const char *flag, size_t room, int fd,
			    unsigned char *at, int priority, __u64 seq, const char *keys,
			    const char *text)
{
	char want[MOST], *end = want, *limit = want + sizeof(want);
	unsigned long long usec = 0;
	long len = get_record(fd, at, room);

	if (len < 0)
		len = -errno;
	sscanf((char *)at, "%*u,%*u,%llu,", &usec);
	end += snprintf(end, limit - end, "%d,%llu,%llu,%s;%s\n", priority, seq, usec, flag, text);
	if (keys)
		end += snprintf(end, limit - end, " PID=%d\n TID=%d\n UID=%u\n COMM=%s\n", pid, tid,
				uid, NAME);
	if (keys && opener != uid)
		end += snprintf(end, limit - end, " OPENER=%u\n", opener);
	if (keys)
		end += snprintf(end, limit - end, "%s", keys);
	check(place, "length of the text record", end - want, len);
	check_bytes(place, "the text record", want, at, len);
	return usec;
}
#define expect_text(...) expect_text_at(HERE, "-", MOST, __VA_ARGS__)
#define expect_cut(room, ...) expect_text_at(HERE, "-", room, __VA_ARGS__)
#define expect_flag(flag, ...) expect_text_at(HERE, flag, MOST, __VA_ARGS__)

/* Checks a record in the binary format, and returns its time in nanoseconds. */
static __u64 expect_record_at(const char *place, int flags, unsigned char *at, int priority,
			      __u64 seq, __u64 lost, const char *text)
{
	__u64 time_ns = ((struct umsg_record *)at)->time_ns;
	__u32 len = strlen(text);
	struct umsg_record want = { sizeof(want), flags, priority, len, seq, time_ns, lost,
				    pid, tid, uid, opener, NAME };

	check_bytes(place, "struct umsg_record", &want, at, sizeof(want));
	check_bytes(place, "the text", text, at + sizeof(want), len);
	check_bytes(place, "the padding", "\0\0\0\0\0\0\0", at + sizeof(want) + len, -len & 7);
	return time_ns;
}
#define expect_record(...) expect_record_at(HERE, 0, __VA_ARGS__)
#define expect_flags(flags, ...) expect_record_at(HERE, flags, __VA_ARGS__)

/* Checks that the state of an open file in /proc has the line `key`, a tab and `value`. */
static void expect_fdinfo_at(const char *place, int fd, const char *key, const char *value)
{
	char path[64], line[128], got[128] = "no such line";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	check(place, path, 1, !!file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == '\t')
			strcpy(got, line + strlen(key) + 1);
	}
	fclose(file);
	if (strcmp(got, value)) {
		printf("# %s: fdinfo %s: got %s, expected %s%s\n", place, key, got, value, context);
		exit(1);
	}
}
#define expect_fdinfo(...) expect_fdinfo_at(HERE, __VA_ARGS__)

/* Makes an entry for a binary write, and returns its size. */
static size_t entry(unsigned char *at, int header_size, int priority, __u32 len, const char *text)
{
	struct umsg_entry header = { header_size, 0, priority, len };

	memset(at, 0, 64);
	memcpy(at, &header, sizeof(header));
	memcpy(at + header_size, text, strlen(text));
	return UMSG_SIZE(&header);
}

struct test {
	const char *name;
	const char *parameters;		/* of the module */
	void (*run)(void);
};

/* Prints the kernel's new messages at warning level or above, and returns how many there are. */
static int warnings(int kmsg)
{
	char line[8192];
	int count = 0;
	long len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[len < 0 ? 0 : len] = 0;
		/* Facility 0 is the kernel. It warns of every out-of-tree or unsigned module. */
		if (len > 0 && (atoi(line) > 4 || strstr(line, "out-of-tree module taints kernel") ||
				strstr(line, "module verification failed")))
			continue;
		printf("# kernel: %s\n", len < 0 ? "messages were overwritten" : strtok(line, "\n"));
		count++;
	}
	return count;
}

/* Runs a test in its own process on a freshly loaded module, and returns whether it passes. */
static int passes(const struct test *test, int module, int kmsg)
{
	int status, failed = 0;
	pid_t child;

	if (syscall(SYS_finit_module, module, test->parameters, 0)) {
		printf("# finit_module: %s\n", strerror(errno));
		return 0;
	}
	fflush(stdout);
	child = fork();
	if (!child) {
		pid = tid = getpid();
		alarm(120);
		test->run();
		exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		printf("# killed by %s\n", strsignal(WTERMSIG(status)));
	/* Processes that the test left behind can have the device open. */
	while (wait(NULL) > 0)
		;
	if (syscall(SYS_delete_module, "umsg", O_NONBLOCK)) {
		printf("# delete_module: %s\n", strerror(errno));
		failed = 1;
	}
	return !status & !warnings(kmsg) & !failed;
}

static int run(const struct test *tests, size_t count)
{
	int module = open("umsg.ko", O_RDONLY), kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	int failed = 0;

	if (module < 0 || kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1)) {
		perror(module < 0 ? "umsg.ko" : "/dev/kmsg");
		return 2;
	}
	memset(poison, POISON, sizeof(poison));
	printf("KTAP version 1\n1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		int passed = passes(&tests[i], module, kmsg);

		printf("%s %zu %s\n", passed ? "ok" : "not ok", i + 1, tests[i].name);
		failed |= !passed;
	}
	return failed;
}

#endif /* DEVICE_32_H */
