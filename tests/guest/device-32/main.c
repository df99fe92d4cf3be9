// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the device by a 32-bit program. Runs as root in a guest, with umsg.ko in the working
 * directory, and prints KTAP.
 *
 * The module has one implementation for 32- and 64-bit programs: its compat_ioctl is
 * compat_ptr_ioctl(), and the structures of umsg.h have one layout. The tests of addresses also
 * make system calls from 64-bit code of this process.
 *
 * Each test runs in its own process on a freshly loaded module. After each test the module must
 * unload, and the kernel log must have no new message at warning level or above.
 */
#include "device-32.h"

int main(void)
{
	static const struct test tests[] = {
		{ "info", "capacity=4K policy=stop record_max=2K style=plain", test_info },
		{ "ioctl_errors", "", test_ioctl_errors },
		{ "options", "", test_options },
		{ "styles", "style=plain", test_styles },
		{ "loss", "capacity=4K", test_loss },
		{ "cut", "", test_cut },
		{ "seek", "", test_seek },
		{ "lseek_offsets", "", test_lseek_offsets },
		{ "text", "", test_text },
		{ "lines", "record_max=10", test_lines },
		{ "lines_without_newline", "", test_lines_without_newline },
		{ "lines_when_full", "capacity=4K policy=stop", test_lines_when_full },
		{ "lines_of_2g", "", test_lines_of_2g },
		{ "identity", "mode=0666", test_identity },
		{ "binary_read", "capacity=4K", test_binary_read },
		{ "binary_write", "", test_binary_write },
		{ "good_addresses", "", test_good_addresses },
		{ "bad_addresses_32", "record_max=4K", test_bad_addresses_32 },
		{ "bad_addresses_64", "record_max=4K", test_bad_addresses_64 },
		{ "bad_addresses_int80", "record_max=4K", test_bad_addresses_int80 },
		{ "poll_events", "capacity=4K", test_poll_events },
		{ "nonblock", "", test_nonblock },
	};

	return run(tests, COUNT(tests));
}
