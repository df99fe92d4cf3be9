// SPDX-License-Identifier: GPL-2.0
/*
 * Checks the values of constants that bindgen cannot translate, because the kernel declares them
 * with a cast. They are defined again in src/sys/file_operations.rs and src/sys/wait.rs.
 */
#include <linux/build_bug.h>
#include <linux/fs.h>
#include <linux/poll.h>

static_assert((__force int)IOCB_NOWAIT == 0x8);
static_assert((__force u32)FMODE_READ == 1u << 0);
static_assert((__force u32)FMODE_WRITE == 1u << 1);
static_assert((__force u32)FMODE_NOWAIT == 1u << 27);
static_assert((__force u32)(EPOLLIN | EPOLLRDNORM) == (0x001 | 0x040));
static_assert((__force u32)EPOLLPRI == 0x002);
static_assert((__force u32)EPOLLERR == 0x008);
static_assert((__force u32)(EPOLLOUT | EPOLLWRNORM) == (0x004 | 0x100));
