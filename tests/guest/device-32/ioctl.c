// SPDX-License-Identifier: GPL-2.0
/* Every ioctl and its errors, and lseek. */
#include "device-32.h"

/* Checks all fields of struct umsg_info, with different values where possible. */
void test_info(void)
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
	set_style(fd, UMSG_STYLE_KMSG);			/* changes the file, not the log */
	want = (struct umsg_info){ 4096, 5, 61, 56, 61, 610, 5, 50, 3, want.log_id, 2048,
				   UMSG_POLICY_STOP, UMSG_STYLE_PLAIN, 0, {} };
	got = get_info(fd);
	BYTES(&want, &got, sizeof(want));
}

void test_ioctl_errors(void)
{
	static const unsigned int unknown[] = {
		_IO(UMSG_IOC_MAGIC, 11), _IO(UMSG_IOC_MAGIC, 255), _IO('U', 1), TCGETS,
		_IO(UMSG_IOC_MAGIC, 0), _IOWR(UMSG_IOC_MAGIC, 0, struct umsg_info),
		_IOR(UMSG_IOC_MAGIC, 0, __u32), _IOR(UMSG_IOC_MAGIC, 0, __u64),
		_IOR(UMSG_IOC_MAGIC, 0, char[124]), _IOR(UMSG_IOC_MAGIC, 1, __u32),
		_IOW(UMSG_IOC_MAGIC, 4, __u32), _IOR(UMSG_IOC_MAGIC, 5, __u32),
		_IOR(UMSG_IOC_MAGIC, 4, __u64), _IOW(UMSG_IOC_MAGIC, 5, __u8),
		_IOW(UMSG_IOC_MAGIC, 6, __u32), _IOR(UMSG_IOC_MAGIC, 8, __u64),
		_IOW(UMSG_IOC_MAGIC, 9, __u32), _IOW(UMSG_IOC_MAGIC, 10, __u16),
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
	EXPECT(-EINVAL, ioctl(fd, UMSG_IOC_SET_PRIORITY, &(__u32){ 2048 }));
	EXPECT(-EINVAL, ioctl(fd, UMSG_IOC_SET_PRIORITY, &(__u32){ ~0U }));
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

void test_options(void)
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

/* The module parameter sets the style of the log to plain. Each open file has its own style. */
void test_styles(void)
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

/* Waits until 4.8 s after boot: from 4.3 s on, a time in nanoseconds needs more than 32 bits. */
void test_seek(void)
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

/*
 * lseek() has a 32-bit offset, _llseek() a 64-bit offset. A seek that fails must not move the read
 * position.
 */
void test_lseek_offsets(void)
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
