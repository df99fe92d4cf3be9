// SPDX-License-Identifier: GPL-2.0
/* Valid and invalid addresses in 32-bit and in 64-bit system calls. */
#include "device-32.h"

#include <sys/mman.h>

/*
 * Passes structures and buffers at each offset from a multiple of 8, below and above 2 GiB, by each
 * way to make a system call. int $0x80 ignores the upper half of an address.
 */
void test_good_addresses(void)
{
	static const struct { enum way way; __u32 high; } cases[] = {
		{ CODE_32, 0 }, { SYSCALL_64, 0 },
		{ INT80_64, 0 }, { INT80_64, 1 }, { INT80_64, ~0U },
	};
	unsigned char *mapping = mmap(NULL, sizeof(area), PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = device(O_RDWR | O_NONBLOCK);

	EQUAL(1, (unsigned long)area < 1UL << 31 && (unsigned long)mapping >= 1UL << 31);
	for (__u64 i = 0; i < COUNT(cases) * 32; i++) {
		unsigned char *at = (i & 8 ? area : mapping) + GUARD + i % 8;
		__u64 address = HIGH(cases[i / 32].high) | (unsigned long)at;
		enum call read = i & 16 ? READV : READ, write = i & 16 ? WRITEV : WRITE;
		enum way way = cases[i / 32].way;
		__u32 style = i % 3;
		struct umsg_info want;

		CONTEXT("%s, address %#llx, %s, style %u", ways[way], address, calls[read], style);
		set_options(fd, 0);
		*(__u32 *)at = style;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SET_STYLE));
		EQUAL(style, *(__u32 *)get_by(way, fd, UMSG_IOC_GET_STYLE, address));
		memcpy(at, "<30>text\n", 9);
		EXPECT(9, call(way, write, fd, address, 9));
		*(__u32 *)at = BINARY;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SET_OPTIONS));
		EQUAL(BINARY, *(__u32 *)get_by(way, fd, UMSG_IOC_GET_OPTIONS, address));
		entry(at, 8, 31, 4, "data");
		EXPECT(16, call(way, write, fd, address, 16));
		EQUAL(72, *(__u32 *)get_by(way, fd, UMSG_IOC_NEXT_SIZE, address));
		want = get_info(fd);
		BYTES(&want, get_by(way, fd, UMSG_IOC_INFO, address), sizeof(want));
		memset(at, POISON, MOST);
		EXPECT(144, call(way, read, fd, address, MOST));
		BYTES(poison, at + 144, MOST - 144);
		expect_record(at, 30, 2 * i, 0, "text");
		expect_record(at + 72, 31, 2 * i + 1, 0, "data");
		*(__u64 *)at = 2 * i;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SEEK_SEQ));
		set_options(fd, 0);
		expect_text(fd, at, 30, 2 * i, style == UMSG_STYLE_PLAIN ? NULL : "", "text");
		*(__u64 *)at = ~0ULL;
		EXPECT(0, call(way, IOCTL, fd, address, UMSG_IOC_SEEK_TIME));
		EXPECT(-EAGAIN, get_record(fd, at, MOST));
	}
}

/*
 * Makes every call that takes an address, with an invalid address. If `cut` is not 0, a valid
 * mapping ends at `address` and contains the first byte of the data (1), the first half (2), or all
 * but the last byte (3).
 */
static void bad_address(enum way way, int fd, __u32 style, __u32 options, __u64 address, int cut)
{
	static const unsigned int commands[] = {
		UMSG_IOC_INFO, UMSG_IOC_GET_OPTIONS, UMSG_IOC_SET_OPTIONS, UMSG_IOC_GET_STYLE,
		UMSG_IOC_SET_STYLE, UMSG_IOC_SEEK_SEQ, UMSG_IOC_SEEK_TIME, UMSG_IOC_NEXT_SIZE,
		UMSG_IOC_GET_PRIORITY, UMSG_IOC_SET_PRIORITY,
	};
	/*
	 * Two sizes of each. A binary read of more than 8 KiB is copied in several steps, and a
	 * write of more than 1280 bytes is not copied to the stack.
	 */
	static const struct { enum call call; size_t size; } transfers[] = {
		{ READ, MOST }, { READV, MOST }, { READ, sizeof(area) }, { READV, sizeof(area) },
		{ WRITE, 104 }, { WRITEV, 104 }, { WRITE, 2008 }, { WRITEV, 2008 },
	};
	struct umsg_info before = get_info(fd), after;
	__u32 next_size = get(fd, UMSG_IOC_NEXT_SIZE);

	for (size_t i = 0; i < COUNT(transfers) + COUNT(commands); i++) {
		int ioctl = i >= COUNT(transfers);
		enum call kind = ioctl ? IOCTL : transfers[i].call;
		size_t size = ioctl ? commands[i - COUNT(transfers)] : transfers[i].size;
		size_t data = ioctl ? _IOC_SIZE(size) : kind < WRITE ? next_size : size;
		__u64 at = address - (cut == 3 ? data - 1 : cut == 2 ? data / 2 : (size_t)cut);

		CONTEXT("%s, style %u, options %#x, %s %#x, address %#llx", ways[way], style,
			options, calls[kind], size, at);
		if (cut > 1 && !ioctl)		/* a valid entry header, inside the mapping */
			memcpy((void *)(long)at, &(struct umsg_entry){ 8, 0, 14, size - 8 }, 8);
		EXPECT(-EFAULT, call(way, kind, fd, at, size));
		after = get_info(fd);
		BYTES(&before, &after, sizeof(before));
		EQUAL(options, get(fd, UMSG_IOC_GET_OPTIONS));
		EQUAL(style, get(fd, UMSG_IOC_GET_STYLE));
		EQUAL(UMSG_PRIORITY_DEFAULT, get(fd, UMSG_IOC_GET_PRIORITY));
		EQUAL(next_size, get(fd, UMSG_IOC_NEXT_SIZE));
	}
}

/* A call with an invalid address must fail with EFAULT. It stores, consumes and changes nothing. */
static void bad_addresses(enum way way, __u64 high)
{
	unsigned char *good = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = good + 8192;
	const __u64 low[] = { 0, 4095, (long)end, (long)end + 4096, 0xfffff000, 0xfffffffd };
	/* Addresses of user space, non-canonical addresses, and addresses of the kernel. */
	const __u64 wide[] = { HIGH(1), HIGH(1) | (unsigned long)good, 0x7fffffffe000,
			       0x7ffffffffffd, HIGH(0x8000), 1ULL << 63 | (unsigned long)good,
			       HIGH(0xffff8880), HIGH(~0U) | (unsigned long)good, -4096, ~0ULL };
	/* Not every style with BINARY, because a binary write does not depend on the style. */
	static const struct { __u32 style, options; } files[] = {
		{ UMSG_STYLE_LINES, 0 }, { UMSG_STYLE_KMSG, 0 }, { UMSG_STYLE_PLAIN, 0 },
		{ UMSG_STYLE_LINES, BINARY }, { UMSG_STYLE_KMSG, BINARY },
	};
	int fd = device_in(UMSG_STYLE_KMSG, O_RDWR | O_NONBLOCK);
	char middle[601] = "";

	EXPECT(0, munmap(end, 4096));
	EXPECT(0, mprotect(end + 4096, 4096, PROT_NONE));
	put(fd, "zero");
	put(fd, memset(middle, 'm', 600));
	put(fd, "two");
	EXPECT(0, seek_seq(fd, 1));
	for (size_t i = 0; i < COUNT(files); i++) {
		__u32 style = files[i].style, options = files[i].options;

		set_style(fd, style);
		set_options(fd, options);
		for (size_t j = 0; j < COUNT(low); j++)
			bad_address(way, fd, style, options, high | (__u32)low[j], 0);
		for (int cut = 1; cut <= 3; cut++)
			bad_address(way, fd, style, options, high | (unsigned long)end, cut);
		for (size_t j = 0; way == SYSCALL_64 && j < COUNT(wide); j++)
			bad_address(way, fd, style, options, wide[j], 0);
	}
	*context = 0;
	set_options(fd, 0);
	set_style(fd, UMSG_STYLE_LINES);
	expect_text(fd, area, 14, 1, "", middle);
	expect_text(fd, area, 14, 2, "", "two");
	put(fd, "three\n");				/* no partial line is before it */
	expect_text(fd, area, 14, 3, "", "three");
}

void test_bad_addresses_32(void)
{
	bad_addresses(CODE_32, 0);
}

void test_bad_addresses_64(void)
{
	bad_addresses(SYSCALL_64, 0);
}

void test_bad_addresses_int80(void)
{
	bad_addresses(INT80_64, 0);
	bad_addresses(INT80_64, HIGH(1));
}
