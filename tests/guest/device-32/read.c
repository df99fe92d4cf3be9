// SPDX-License-Identifier: GPL-2.0
/* Reads of records in both formats. */
#include "device-32.h"

#include <pthread.h>

void test_text(void)
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

/*
 * Text that does not fit the buffer is truncated. If not even the head and the keys fit, the read
 * fails with EINVAL, and in the styles kmsg and plain it consumes the record.
 */
void test_cut(void)
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
	/* The longest text, read into a buffer of 1 KiB. */
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

/* The log of 4 KiB holds 56 of the 60 records. */
void test_loss(void)
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

static void *put_from_thread(void *fd)
{
	tid = gettid();
	uid = 1234;
	EXPECT(0, syscall(SYS_setresuid32, uid, -1, -1));	/* of this thread only */
	put(*(int *)fd, "one");
	return NULL;
}

/* UID is the real user id of the writer, OPENER the effective user id of the file's opener. */
void test_identity(void)
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

void test_binary_read(void)
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
