/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A user program that includes src/uapi/umsg.h, in C99 and C++11. Run by tests/host/abi/run.
 *
 * Prints UMSG_SIZE() for texts of some lengths. compare.rs compares these sizes with the module's.
 */
#include "umsg.h"	/* first, because it must not need another header */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static int unknown(int result)
{
	return result == -1 && errno == ENOTTY;
}

int main(void)
{
	struct umsg_info info;
	struct umsg_record record;
	struct umsg_entry entry;
	__u32 word = UMSG_OPTIONS;
	__u64 number = 0;
	int fd = open("/dev/null", O_RDWR);

	/* /dev/null rejects all ioctls. */
	if (!unknown(ioctl(fd, UMSG_IOC_INFO, &info)) ||
	    !unknown(ioctl(fd, UMSG_IOC_CLEAR)) ||
	    !unknown(ioctl(fd, UMSG_IOC_GET_OPTIONS, &word)) ||
	    !unknown(ioctl(fd, UMSG_IOC_SET_OPTIONS, &word)) ||
	    !unknown(ioctl(fd, UMSG_IOC_GET_STYLE, &word)) ||
	    !unknown(ioctl(fd, UMSG_IOC_SET_STYLE, &word)) ||
	    !unknown(ioctl(fd, UMSG_IOC_SEEK_SEQ, &number)) ||
	    !unknown(ioctl(fd, UMSG_IOC_SEEK_TIME, &number)) ||
	    !unknown(ioctl(fd, UMSG_IOC_NEXT_SIZE, &word)) ||
	    !unknown(ioctl(fd, UMSG_IOC_GET_PRIORITY, &word)) ||
	    !unknown(ioctl(fd, UMSG_IOC_SET_PRIORITY, &word)))
		return 1;

	memset(&record, 0, sizeof(record));
	record.header_size = sizeof(record);
	memset(&entry, 0, sizeof(entry));
	entry.header_size = sizeof(entry);
	for (word = 0; word < 18; word++) {
		record.text_size = word;
		entry.text_size = word;
		printf("size umsg_record %u %llu\n", word, UMSG_SIZE(&record));
		printf("size umsg_entry %u %llu\n", word, UMSG_SIZE(&entry));
	}
	/* The size has more than 32 bits. */
	record.text_size = ~(__u32)0;
	printf("size umsg_record %u %llu\n", record.text_size, UMSG_SIZE(&record));
	return 0;
}
