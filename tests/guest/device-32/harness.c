// SPDX-License-Identifier: GPL-2.0
/* Checks, system calls and a runner. */
#include "device-32.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

unsigned char area[16384] __attribute__((aligned(8)));
unsigned char poison[sizeof(area)];
pid_t pid, tid;
uid_t uid, opener;
char context[128];

const char *const ways[] = { "32-bit code", "syscall in 64-bit code", "int $0x80 in 64-bit code" };
const char *const calls[] = { "read", "readv", "write", "writev", "ioctl" };
static const int numbers_32[] = { SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_ioctl };
static const int numbers_64[] = { 0, 19, 1, 20, 16 };

static const char *errno_name(long long value)
{
	const char *name = value < 0 && value > -4096 ? strerrorname_np(-value) : NULL;

	return name ? name : "";
}

void check(const char *place, const char *name, long long want, long long got)
{
	if (got == want)
		return;
	printf("# %s: %s: got %lld %s, expected %lld %s%s\n", place, name, got,
	       errno_name(got), want, errno_name(want), context);
	exit(1);
}

void check_bytes(const char *place, const char *name, const void *want, const void *got, size_t len)
{
	char byte[80];

	for (size_t i = 0; i < len; i++) {
		snprintf(byte, sizeof(byte), "byte %zu of %s", i, name);
		check(place, byte, ((const __u8 *)want)[i], ((const __u8 *)got)[i]);
	}
}

/*
 * Makes a system call from 64-bit code, to which it switches by a far call to the 64-bit segment.
 * regs[0] is the number, and is replaced by the result. regs[1] to regs[3] are the arguments. Uses
 * int $0x80 if regs[4] is not 0, otherwise syscall.
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

long call(enum way way, enum call call, int fd, __u64 address, __u64 size)
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

int device(int flags)
{
	int fd = open("/dev/umsg", flags);

	EQUAL(1, fd >= 0);
	return fd;
}

void set_style(int fd, __u32 style)
{
	EXPECT(0, ioctl(fd, UMSG_IOC_SET_STYLE, &style));
}

int device_in(__u32 style, int flags)
{
	int fd = device(flags);

	set_style(fd, style);
	return fd;
}

void put(int fd, const char *text)
{
	EXPECT(strlen(text), write(fd, text, strlen(text)));
}

void *get_by(enum way way, int fd, unsigned int command, __u64 address)
{
	unsigned char *at = (void *)(unsigned long)address;
	size_t size = _IOC_SIZE(command);

	memset(at - GUARD, POISON, GUARD + size + GUARD);
	EXPECT(0, call(way, IOCTL, fd, address, command));
	BYTES(poison, at - GUARD, GUARD);
	BYTES(poison, at + size, GUARD);
	return at;
}

__u32 get(int fd, unsigned int command)
{
	return *(__u32 *)get_by(CODE_32, fd, command, (unsigned long)area + GUARD);
}

struct umsg_info get_info(int fd)
{
	return *(struct umsg_info *)get_by(CODE_32, fd, UMSG_IOC_INFO, (unsigned long)area + GUARD);
}

void set_options(int fd, __u32 options)
{
	EXPECT(0, ioctl(fd, UMSG_IOC_SET_OPTIONS, &options));
}

long seek_seq(int fd, __u64 seq)
{
	return ioctl(fd, UMSG_IOC_SEEK_SEQ, &seq);
}

long seek_time(int fd, __u64 time_ns)
{
	return ioctl(fd, UMSG_IOC_SEEK_TIME, &time_ns);
}

long get_record(int fd, unsigned char *at, size_t len)
{
	memset(at, POISON, len);
	long got = read(fd, at, len), end = got < 0 ? 0 : got;

	BYTES(poison, at + end, len - end);
	return got;
}

__u64 expect_text_at(const char *place, const char *flag, size_t room, int fd, unsigned char *at,
		     int priority, __u64 seq, const char *keys, const char *text)
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

__u64 expect_record_at(const char *place, int flags, unsigned char *at, int priority, __u64 seq,
		       __u64 lost, const char *text)
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

void expect_fdinfo_at(const char *place, int fd, const char *key, const char *value)
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

size_t entry(unsigned char *at, int header_size, int priority, __u32 len, const char *text)
{
	struct umsg_entry header = { header_size, 0, priority, len };

	memset(at, 0, 64);
	memcpy(at, &header, sizeof(header));
	memcpy(at + header_size, text, strlen(text));
	return UMSG_SIZE(&header);
}

__u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

/* Prints the kernel's new messages at warning level or above, and returns their number. */
static int warnings(int kmsg)
{
	char line[8192];
	int count = 0;
	long len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[len < 0 ? 0 : len] = 0;
		/*
		 * Priorities up to 4 are the kernel's (facility 0) at warning level or above. The
		 * kernel warns of every out-of-tree or unsigned module.
		 */
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

int run(const struct test *tests, size_t count)
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
