// SPDX-License-Identifier: GPL-2.0
/* Writes of lines and of binary entries. */
#include "device-32.h"

#include <sys/mman.h>
#include <sys/wait.h>

/* Reads the records of the stream in test_lines() from number `seq` on, in both formats. */
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

/*
 * Writes a stream by two calls and by one call with two segments, divided at each byte, and then
 * byte by byte.
 */
void test_lines(void)
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

/*
 * A partial line is stored if another process or real user id writes to the file, before a write in
 * another style or format, and if the file is released.
 */
void test_lines_without_newline(void)
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
	/* Another real user id writes. The effective user id does not matter. */
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
	/* The next write is in another style or in the binary format. */
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

/* A write to a log of 4 KiB stores only the lines that fit, here 56. */
void test_lines_when_full(void)
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

/* A write of the largest size stores only the chunks of 8 KiB before the end of the mapping. */
void test_lines_of_2g(void)
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

void test_binary_write(void)
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
	EXPECT(16 + 72, write(fd, area, len - 1));	/* the last entry is incomplete */
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
