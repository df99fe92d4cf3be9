/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * umsg: the interface of /dev/umsg for user programs.
 *
 * write(2), read(2), poll(2) and lseek(2) need none of this: see umsg(4).
 * The same layout serves 32- and 64-bit programs.
 */
#ifndef _UAPI_UMSG_H
#define _UAPI_UMSG_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UMSG_IOC_MAGIC		0xe6

/* umsg_info.policy */
#define UMSG_POLICY_OVERWRITE	0	/* a full log drops its oldest records */
#define UMSG_POLICY_STOP	1	/* a full log refuses new records (ENOSPC) */

/*
 * What an open file does with text: as its log, until UMSG_IOC_SET_STYLE says otherwise.
 *
 * UMSG_STYLE_LINES: each line that is written is a record, a loss is the key LOST of the next
 * record. UMSG_STYLE_KMSG: as /dev/kmsg: each write is a record; a read that finds that records
 * were lost fails with EPIPE, once for each loss, poll reports EPOLLERR then, and a record that
 * does not fit the buffer of a read is gone after the EINVAL. UMSG_STYLE_PLAIN: the same, and the
 * text format has no lines of keys.
 */
#define UMSG_STYLE_LINES	0
#define UMSG_STYLE_KMSG		1
#define UMSG_STYLE_PLAIN	2

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
 * @log_id:		a random number that the log got when it was made; sequence numbers of two
 *			logs, or of one before and after a reload, are unrelated
 * @record_max:		longest text of one record in bytes
 * @policy:		UMSG_POLICY_*
 * @style:		UMSG_STYLE_* of files that do not say otherwise
 * @reserved_word:	zero
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
	__u64 log_id;
	__u32 record_max;
	__u32 policy;
	__u32 style;
	__u32 reserved_word;
	__u64 reserved[4];
};

/* The state of the log. */
#define UMSG_IOC_INFO		_IOR(UMSG_IOC_MAGIC, 0, struct umsg_info)

/*
 * Marks all records as cleared: SEEK_DATA goes after them, and a log that stops when it is full may
 * overwrite them. The file must be open for writing (else EBADF) and the caller must have
 * CAP_SYSLOG (else EPERM).
 */
#define UMSG_IOC_CLEAR		_IO(UMSG_IOC_MAGIC, 1)

/*
 * What an open file does differently: a set of these, none at first. UMSG_IOC_SET_OPTIONS replaces
 * the set, for the calls that begin from then on; a bit without a meaning is EINVAL. Those who
 * share the open file (dup, fork) share its options.
 */
#define UMSG_IOC_GET_OPTIONS	_IOR(UMSG_IOC_MAGIC, 2, __u32)
#define UMSG_IOC_SET_OPTIONS	_IOW(UMSG_IOC_MAGIC, 3, __u32)

#define UMSG_OPTION_BINARY_READ		(1U << 0)	/* read: struct umsg_record */
#define UMSG_OPTION_BINARY_WRITE	(1U << 1)	/* write: struct umsg_entry */
#define UMSG_OPTIONS			(UMSG_OPTION_BINARY_READ | UMSG_OPTION_BINARY_WRITE)

/*
 * The style of the open file, UMSG_STYLE_*, for the calls that begin from then on; another number
 * is EINVAL. Those who share the open file share its style. The beginning of a line that was
 * written before becomes a record when something is written in another style.
 */
#define UMSG_IOC_GET_STYLE	_IOR(UMSG_IOC_MAGIC, 4, __u32)
#define UMSG_IOC_SET_STYLE	_IOW(UMSG_IOC_MAGIC, 5, __u32)

/*
 * Seeks to the record with a sequence number, which may be the next one that will be written; a
 * later one is EINVAL. The next read after a seek to a record that is gone gets the oldest one, and
 * says how many were lost before it. The file must be open for reading (else EBADF).
 */
#define UMSG_IOC_SEEK_SEQ	_IOW(UMSG_IOC_MAGIC, 6, __u64)

/*
 * Seeks to the first record of a time, in nanoseconds of CLOCK_MONOTONIC, or later; after the
 * newest one if there is none. The time is that of the initial time namespace. The file must be
 * open for reading (else EBADF).
 */
#define UMSG_IOC_SEEK_TIME	_IOW(UMSG_IOC_MAGIC, 7, __u64)

/*
 * Bytes that the next read of this file needs room for, to get the whole record. EAGAIN when there
 * is no record. The file must be open for reading (else EBADF).
 */
#define UMSG_IOC_NEXT_SIZE	_IOR(UMSG_IOC_MAGIC, 8, __u32)

/* umsg_record.flags */
#define UMSG_RECORD_CONTINUES	(1U << 0)	/* its line began in the record before */

/**
 * struct umsg_record - a record as a binary read gives it
 * @header_size:	bytes from the beginning of this to the text; grows with new fields
 * @flags:		UMSG_RECORD_*
 * @priority:		syslog facility and level, as in the text form
 * @text_size:		bytes of text
 * @seq:		sequence number
 * @time_ns:		time of the write, nanoseconds of CLOCK_MONOTONIC; less than that of the
 *			record before it where the beginning of a line was stored later
 * @lost:		records that this file missed just before this one
 * @pid:		process that wrote it; 0 for a reader outside of the initial pid namespace
 * @tid:		thread that wrote it; 0 for a reader outside of the initial pid namespace
 * @uid:		its real user id, in the user namespace of the reader
 * @opener:		effective user id of who opened the file, seen as @uid is
 * @comm:		its command name, zeros behind it; none where it has 16 bytes
 *
 * The text follows, and zeros up to a multiple of 8 bytes: UMSG_SIZE() in all, which is where the
 * next record begins. One read returns as many whole records as fit.
 */
struct umsg_record {
	__u8  header_size;
	__u8  flags;
	__u16 priority;
	__u32 text_size;
	__u64 seq;
	__u64 time_ns;
	__u64 lost;
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 opener;
	char comm[16];
};

/**
 * struct umsg_entry - a record as a binary write takes it
 * @header_size:	bytes from the beginning of this to the text: sizeof(struct umsg_entry),
 *			or a larger multiple of 8 up to 64, if all between is zero
 * @reserved:		zero
 * @priority:		syslog facility and level, 0 to 2047; facility 0 becomes user
 * @text_size:		bytes of text, as they are to be stored
 *
 * The text follows, and any bytes up to a multiple of 8: UMSG_SIZE() in all, also of the last one.
 * One write takes as many as it can, each on its own, and returns how many bytes they have. It
 * fails only if the first one is not taken: EINVAL when it is cut short or a field has a value that
 * it cannot have, otherwise as a write in text form.
 */
struct umsg_entry {
	__u8  header_size;
	__u8  reserved;
	__u16 priority;
	__u32 text_size;
};

/* Bytes of a struct umsg_record or umsg_entry with its text and what follows it. */
#define UMSG_SIZE(header) \
	((__u64)(header)->header_size + (((__u64)(header)->text_size + 7) & ~(__u64)7))

#endif /* _UAPI_UMSG_H */
