/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * umsg: the interface of /dev/umsg for user programs.
 *
 * write(2), read(2), poll(2) and lseek(2) need none of this: see the README.
 * The same layout serves 32- and 64-bit programs.
 */
#ifndef _UAPI_UMSG_H
#define _UAPI_UMSG_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UMSG_IOC_MAGIC		0xe6

/* What UMSG_IOC_VERSION returns. It rises when something is added; nothing is taken away. */
#define UMSG_ABI_VERSION	1

/* umsg_info.policy */
#define UMSG_POLICY_OVERWRITE	0	/* a full log drops its oldest records */
#define UMSG_POLICY_STOP	1	/* a full log refuses new records (ENOSPC) */

/**
 * struct umsg_info - the state of a log at one moment
 * @capacity:		bytes of memory for records, their headers included
 * @oldest_seq:		sequence number of the oldest record; @next_seq when there is none
 * @next_seq:		sequence number that the next record will get
 * @cleared_seq:	sequence number where SEEK_DATA goes: after the last clear
 * @records_written:	records taken since the module was loaded
 * @bytes_written:	bytes of text of those records
 * @records_dropped:	records overwritten by newer ones
 * @bytes_dropped:	bytes of text of those records
 * @records_refused:	records refused because the log was full (ENOSPC)
 * @record_max:		longest text of one record in bytes
 * @policy:		UMSG_POLICY_*
 * @reserved:		zero
 */
struct umsg_info {
	__u64 capacity;
	__u64 oldest_seq;
	__u64 next_seq;
	__u64 cleared_seq;
	__u64 records_written;
	__u64 bytes_written;
	__u64 records_dropped;
	__u64 bytes_dropped;
	__u64 records_refused;
	__u32 record_max;
	__u32 policy;
	__u64 reserved[6];
};

/* The version of this interface that the module speaks. */
#define UMSG_IOC_VERSION	_IOR(UMSG_IOC_MAGIC, 0, __u32)

/* The state of the log. */
#define UMSG_IOC_INFO		_IOR(UMSG_IOC_MAGIC, 1, struct umsg_info)

/*
 * Marks all records as cleared: SEEK_DATA goes after them, and a log that stops when it is full may
 * overwrite them. The file must be open for writing (else EBADF) and the caller must have
 * CAP_SYSLOG (else EPERM).
 */
#define UMSG_IOC_CLEAR		_IO(UMSG_IOC_MAGIC, 2)

#endif /* _UAPI_UMSG_H */
