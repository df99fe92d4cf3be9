/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * umsg: the ioctls and the binary format of /dev/umsg for user programs.
 *
 * Programs that use only write(2), read(2), poll(2) and lseek(2) do not need this header: see
 * umsg(4). The layout is the same for 32-bit and 64-bit programs.
 */
#ifndef _UAPI_UMSG_H
#define _UAPI_UMSG_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UMSG_IOC_MAGIC		0xe6

/* umsg_info.policy */
#define UMSG_POLICY_OVERWRITE	0	/* a full log drops its oldest records */
#define UMSG_POLICY_STOP	1	/* a full log rejects new records (ENOSPC) */

/*
 * The style of an open file description, initially that of the log; see UMSG_IOC_SET_STYLE.
 *
 * UMSG_STYLE_LINES: each written line becomes a record. A loss is reported by the key LOST of the
 * next record.
 *
 * UMSG_STYLE_KMSG: as /dev/kmsg. Each write becomes one record. A read fails with EPIPE once for
 * each loss, and poll reports EPOLLERR until then. A read that fails with EINVAL, because its
 * buffer is too small, consumes the record, which counts as lost.
 *
 * UMSG_STYLE_PLAIN: as UMSG_STYLE_KMSG, and the text format has no key lines.
 */
#define UMSG_STYLE_LINES	0
#define UMSG_STYLE_KMSG		1
#define UMSG_STYLE_PLAIN	2

/**
 * struct umsg_info - state and counters of a log
 * @capacity:		size in bytes of the memory for records, including their headers
 * @oldest_seq:		sequence number of the oldest record; @next_seq if there is no record
 * @next_seq:		sequence number that the next record will get
 * @cleared_seq:	sequence number of the position of SEEK_DATA, after the last clear
 * @records_written:	records stored since the log was created
 * @bytes_written:	bytes of text of these records
 * @records_dropped:	records overwritten by newer ones
 * @bytes_dropped:	bytes of text of these records
 * @records_refused:	records rejected because the log was full (ENOSPC)
 * @log_id:		random number that identifies the log; sequence numbers of logs with
 *			different @log_id are unrelated
 * @record_max:		maximum length of the text of one record in bytes
 * @policy:		UMSG_POLICY_*
 * @style:		initial UMSG_STYLE_* of files that are opened through the device node
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

/* Gets the state and counters of the log. */
#define UMSG_IOC_INFO		_IOR(UMSG_IOC_MAGIC, 0, struct umsg_info)

/*
 * Marks all records as cleared: SEEK_DATA seeks to the position after them, and a log with
 * UMSG_POLICY_STOP may overwrite them. The file must be open for writing (otherwise EBADF) and the
 * caller must have CAP_SYSLOG (otherwise EPERM).
 */
#define UMSG_IOC_CLEAR		_IO(UMSG_IOC_MAGIC, 1)

/*
 * Option bits of an open file description, initially 0. UMSG_IOC_SET_OPTIONS replaces all of them
 * for calls that start afterwards and fails with EINVAL if an unknown bit is set. File descriptors
 * that refer to the same open file description (dup, fork) share its options.
 */
#define UMSG_IOC_GET_OPTIONS	_IOR(UMSG_IOC_MAGIC, 2, __u32)
#define UMSG_IOC_SET_OPTIONS	_IOW(UMSG_IOC_MAGIC, 3, __u32)

#define UMSG_OPTION_BINARY_READ		(1U << 0)	/* read: struct umsg_record */
#define UMSG_OPTION_BINARY_WRITE	(1U << 1)	/* write: struct umsg_entry */
#define UMSG_OPTIONS			(UMSG_OPTION_BINARY_READ | UMSG_OPTION_BINARY_WRITE)

/*
 * The style of an open file description, UMSG_STYLE_*. UMSG_IOC_SET_STYLE sets it for calls that
 * start afterwards and fails with EINVAL if the number is unknown. File descriptors that refer to
 * the same open file description share its style. A partial line (without a newline) that was
 * written in the style UMSG_STYLE_LINES is stored before the next write in another style.
 */
#define UMSG_IOC_GET_STYLE	_IOR(UMSG_IOC_MAGIC, 4, __u32)
#define UMSG_IOC_SET_STYLE	_IOW(UMSG_IOC_MAGIC, 5, __u32)

/*
 * Seeks to the position before the record with a sequence number, at most umsg_info.next_seq
 * (otherwise EINVAL). If that record was overwritten, the next read gets the oldest record and
 * reports the records before it as lost. The file must be open for reading (otherwise EBADF).
 */
#define UMSG_IOC_SEEK_SEQ	_IOW(UMSG_IOC_MAGIC, 6, __u64)

/*
 * Seeks to the position before the first record with a timestamp (CLOCK_MONOTONIC of the initial
 * time namespace, in nanoseconds) or a later one, or to the position after the newest record if
 * there is none. The file must be open for reading (otherwise EBADF).
 */
#define UMSG_IOC_SEEK_TIME	_IOW(UMSG_IOC_MAGIC, 7, __u64)

/*
 * Gets the buffer size in bytes that the next read needs for the whole record. Fails with EAGAIN
 * if there is no record. The file must be open for reading (otherwise EBADF).
 */
#define UMSG_IOC_NEXT_SIZE	_IOR(UMSG_IOC_MAGIC, 8, __u32)

/*
 * The priority (syslog facility times 8 plus level) of texts that are written to an open file
 * description without a prefix <N>, initially UMSG_PRIORITY_DEFAULT. UMSG_IOC_SET_PRIORITY sets it
 * for calls that start afterwards and fails with EINVAL unless it is 0 to 2047; facility 0 (kern)
 * becomes 1 (user). File descriptors that refer to the same open file description share it. Entries
 * in binary format have their own priority.
 */
#define UMSG_IOC_GET_PRIORITY	_IOR(UMSG_IOC_MAGIC, 9, __u32)
#define UMSG_IOC_SET_PRIORITY	_IOW(UMSG_IOC_MAGIC, 10, __u32)

#define UMSG_PRIORITY_DEFAULT	14	/* user.info */

/* umsg_record.flags */
#define UMSG_RECORD_CONTINUES	(1U << 0)	/* continues the line of an earlier record */

/**
 * struct umsg_record - a record in the binary format of read
 * @header_size:	offset of the text in bytes; grows if fields are added
 * @flags:		UMSG_RECORD_*
 * @priority:		syslog facility and level, as in the text format
 * @text_size:		bytes of text
 * @seq:		sequence number
 * @time_ns:		time of the write, nanoseconds of CLOCK_MONOTONIC; can be less than that of
 *			the previous record, because a partial line is stored after it is written
 * @lost:		number of records that this file lost immediately before this one
 * @pid:		process id of the writer; 0 for a reader outside the initial pid namespace
 * @tid:		thread id of the writer; 0 for a reader outside the initial pid namespace
 * @uid:		real user id of the writer, in the user namespace of the reader
 * @opener:		effective user id of the task that opened the file of the writer, in the
 *			user namespace of the reader
 * @comm:		command name of the writer, padded with zeros; no terminating zero if it has
 *			16 bytes
 *
 * The text follows, then zeros up to a multiple of 8 bytes. The next record starts UMSG_SIZE()
 * bytes after this one. A read returns as many whole records as fit the buffer.
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
 * struct umsg_entry - a record in the binary format of write
 * @header_size:	offset of the text in bytes: sizeof(struct umsg_entry), or a larger multiple
 *			of 8 up to 64 if all bytes in between are zero
 * @reserved:		zero
 * @priority:		syslog facility and level, 0 to 2047; facility 0 (kern) becomes 1 (user)
 * @text_size:		bytes of text; the text is stored unchanged
 *
 * The text follows, then any bytes up to a multiple of 8: UMSG_SIZE() bytes in all, also for the
 * last entry. A write takes a sequence of entries. Each entry is stored entirely or not at all, and
 * the write returns the number of bytes that were consumed. It fails only if the first entry is
 * rejected: with EINVAL if that entry is incomplete or has an invalid field, otherwise with the
 * errors of a write in text format.
 */
struct umsg_entry {
	__u8  header_size;
	__u8  reserved;
	__u16 priority;
	__u32 text_size;
};

/* Size in bytes of a struct umsg_record or umsg_entry with its text and padding. */
#define UMSG_SIZE(header) \
	((__u64)(header)->header_size + (((__u64)(header)->text_size + 7) & ~(__u64)7))

#endif /* _UAPI_UMSG_H */
