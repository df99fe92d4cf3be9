// SPDX-License-Identifier: GPL-2.0
/* poll, ppoll, select and non-blocking calls. */
#include "device-32.h"

#include <poll.h>
#include <sys/select.h>
#include <time.h>

/* Writes a record 50 ms later, from another process. */
static void put_later(int fd)
{
	if (!fork()) {
		usleep(50000);
		put(fd, "text\n");
		_exit(0);
	}
}

/*
 * Polls `fd` for the events `asked` by the system call `number`, and returns the current events.
 * `timeout` is NULL to wait without a limit, or zero bytes to return at once.
 */
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
 * A loss is reported as POLLPRI, and in the style kmsg also as POLLERR, for which select() has no
 * set of its own. The log of 4 KiB holds 56 records.
 */
void test_poll_events(void)
{
	static const int numbers[] = { SYS_poll, SYS_ppoll, SYS_ppoll_time64, SYS__newselect,
				       SYS_pselect6, SYS_pselect6_time64 };
	static const __u64 zero[2];	/* a zero timeval or timespec of any layout */
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

void test_nonblock(void)
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
