/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prints the records of a umsg log, oldest first, and waits for more.
 *
 * usage: follow [NODE]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <umsg.h>

/* Larger than any record: a text has at most 64 KiB. */
#define BUFFER_SIZE (128 * 1024)

static void fail(const char *what)
{
	fprintf(stderr, "follow: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* Prints any bytes, control characters as question marks. */
static void print_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = text[i];

		putchar(byte < ' ' || byte == 0x7f ? '?' : byte);
	}
}

static void print_record(const struct umsg_record *record)
{
	unsigned long long usec = record->time_ns / 1000;
	unsigned long long lost = record->lost;

	if (lost > 0)
		printf("(%llu records lost)\n", lost);
	printf("[%5llu.%06llu] ", usec / 1000000, usec % 1000000);
	print_text(record->comm,
		   strnlen(record->comm, sizeof(record->comm)));
	printf("[%u], user %u: ", record->pid, record->uid);
	print_text((const char *)record + record->header_size,
		   record->text_size);
	putchar('\n');
}

int main(int argc, char **argv)
{
	const char *node = argc > 1 ? argv[1] : "/dev/umsg";
	__u32 options = UMSG_OPTION_BINARY_READ;
	__u32 style = UMSG_STYLE_LINES;
	struct umsg_info info;
	char *buffer = malloc(BUFFER_SIZE);
	int fd = open(node, O_RDONLY | O_CLOEXEC);

	if (!buffer)
		fail("malloc");
	if (fd < 0)
		fail(node);
	/* A regular file or another device fails here, with ENOTTY. */
	if (ioctl(fd, UMSG_IOC_INFO, &info) < 0)
		fail(node);
	fprintf(stderr, "follow: %llu records written, %llu overwritten\n",
		(unsigned long long)info.records_written,
		(unsigned long long)info.records_dropped);

	/* In this style a loss is a field of the next record. */
	if (ioctl(fd, UMSG_IOC_SET_STYLE, &style) < 0)
		fail("UMSG_IOC_SET_STYLE");
	if (ioctl(fd, UMSG_IOC_SET_OPTIONS, &options) < 0)
		fail("UMSG_IOC_SET_OPTIONS");
	/* Skip the records that were cleared. */
	if (lseek(fd, 0, SEEK_DATA) < 0)
		fail("lseek");

	for (;;) {
		ssize_t size = read(fd, buffer, BUFFER_SIZE);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			fail("read");
		for (ssize_t at = 0; at < size;) {
			const void *record = buffer + at;

			print_record(record);
			at += UMSG_SIZE((const struct umsg_record *)record);
		}
		if (fflush(stdout) != 0)
			fail("standard output");
	}
}
