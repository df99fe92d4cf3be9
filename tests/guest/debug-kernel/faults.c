// SPDX-License-Identifier: GPL-2.0
/*
 * Deliberate errors: a write of a name to /sys/kernel/debug/provoke makes the error of that name.
 * One of the kernel's debug checks must report the error. Loaded only by the self-test of the debug
 * kernel, tests/guest/debug-kernel.
 */
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

/* faults_rust.rs */
u8 provoke_rust_read(const u8 *bytes, size_t index);
void provoke_rust_overflow(u8 summand);
void provoke_rust_assertion(u8 value);

#define SIZE 100

static volatile u8 sink;

/* Hides the origin of a pointer from the compiler. */
static u8 *opaque(u8 *pointer)
{
	OPTIMIZER_HIDE_VAR(pointer);
	return pointer;
}

static int kasan_slab(void)
{
	u8 *bytes = opaque(kmalloc(SIZE, GFP_KERNEL));

	if (!bytes)
		return -ENOMEM;
	sink = bytes[SIZE];
	kfree(bytes);
	return 0;
}

static int kasan_freed(void)
{
	u8 *bytes = opaque(kzalloc(SIZE, GFP_KERNEL));
	u8 *kept = opaque(bytes);

	kfree(bytes);
	sink = kept[8];
	return 0;
}

/* Reads after the end of the allocation, but in the same page, so that only KASAN detects it. */
static int kasan_vmalloc(void)
{
	u8 *bytes = opaque(vmalloc(SIZE));

	if (!bytes)
		return -ENOMEM;
	sink = bytes[SIZE];
	vfree(bytes);
	return 0;
}

static int kasan_rust(void)
{
	u8 *bytes = vmalloc(SIZE);

	if (!bytes)
		return -ENOMEM;
	sink = provoke_rust_read(bytes, SIZE);
	vfree(bytes);
	return 0;
}

static int rust_overflow(void)
{
	provoke_rust_overflow(255);
	return 0;
}

static int rust_assertion(void)
{
	provoke_rust_assertion(1);
	return 0;
}

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static int lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

static int rcu_usage(void)
{
	static int value;
	static int __rcu *pointer = RCU_INITIALIZER(&value);

	sink = *rcu_dereference(pointer);
	return 0;
}

static int atomic_sleep(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
	return 0;
}

static void never(struct timer_list *timer)
{
}

static int freed_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return -ENOMEM;
	timer_setup(timer, never, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
	return 0;
}

static noinline int leak(void)
{
	int i;

	/* Leak many, because some look referenced: the allocator keeps their addresses. */
	for (i = 0; i < 200; i++)
		sink = (unsigned long)opaque(kmalloc(SIZE, GFP_KERNEL)) & 1;
	return 0;
}

static int allocate_slab(void)
{
	u8 *bytes = opaque(kmalloc(SIZE, GFP_KERNEL));

	kfree(bytes);
	return bytes ? 0 : -ENOMEM;
}

static int allocate_page(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page)
		return -ENOMEM;
	__free_page(page);
	return 0;
}

/* Does nothing. The copy that fails is that of the name in request(). */
static int copy(void)
{
	return 0;
}

/* Longer than the time limits that tests/guest/debug-kernel/guest sets. */
#define LONG (6 * HZ)

static int hang(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule_timeout(LONG);
	return 0;
}

/* Uses jiffies, because mdelay() takes much longer under emulation. */
static int lockup(void)
{
	unsigned long end = jiffies + LONG;

	preempt_disable();
	while (time_before(jiffies, end))
		cpu_relax();
	preempt_enable();
	return 0;
}

static void busy(struct work_struct *work)
{
	lockup();
}

static void idle(struct work_struct *work)
{
}

/* Queues a work item that occupies CPU 0, so that no other item of the worker pool runs. */
static int workqueue(void)
{
	static DECLARE_WORK(first_work, busy);
	static DECLARE_WORK(second_work, idle);

	schedule_work_on(0, &first_work);
	schedule_work_on(0, &second_work);
	flush_work(&first_work);
	flush_work(&second_work);
	return 0;
}

static const struct {
	const char *name;
	int (*make)(void);
} errors[] = {
	{ "kasan_slab", kasan_slab },
	{ "kasan_freed", kasan_freed },
	{ "kasan_vmalloc", kasan_vmalloc },
	{ "kasan_rust", kasan_rust },
	{ "rust_overflow", rust_overflow },
	{ "rust_assertion", rust_assertion },
	{ "lock_order", lock_order },
	{ "rcu_usage", rcu_usage },
	{ "atomic_sleep", atomic_sleep },
	{ "freed_timer", freed_timer },
	{ "leak", leak },
	{ "allocate_slab", allocate_slab },
	{ "allocate_page", allocate_page },
	{ "copy", copy },
	{ "hang", hang },
	{ "lockup", lockup },
	{ "workqueue", workqueue },
};

static ssize_t request(struct file *file, const char __user *buffer, size_t len, loff_t *offset)
{
	char name[32] = {};
	size_t i;
	int result;

	if (len >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, buffer, len))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		if (!sysfs_streq(name, errors[i].name))
			continue;
		result = errors[i].make();
		return result ?: len;
	}
	return -EINVAL;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.write = request,
};

static struct dentry *file;

static int __init start(void)
{
	file = debugfs_create_file("provoke", 0200, NULL, NULL, &operations);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit stop(void)
{
	debugfs_remove(file);
}

module_init(start);
module_exit(stop);
MODULE_DESCRIPTION("Deliberate errors for the tests of umsg");
MODULE_LICENSE("GPL");
