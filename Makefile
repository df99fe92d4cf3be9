# SPDX-License-Identifier: GPL-2.0
# The verbs, thin wrappers: what is built stands in Kbuild, what is done in scripts/.

# Read by kbuild too, which wants nothing of what follows.
ifeq ($(KERNELRELEASE),)

# The kernel to build against: the running one's headers, in the completed form where scripts/kdir
# has made one.
KDIR ?= $(or $(shell scripts/kdir --find),/lib/modules/$(shell uname -r)/build)

.PHONY: modules install clean help demo test doctor kdir distclean

modules: ## build umsg.ko against KDIR (default: the running kernel)
	@scripts/check-kdir $(KDIR)
	@$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) modules

install: modules ## install umsg.ko for the kernel of KDIR, for modprobe (as root)
	@$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) modules_install

demo: ## boot Debian's own kernel in QEMU and show the module at work
	@scripts/vm --file scripts/demo -- ./demo

test: ## all the project has to check itself with
	@scripts/test

kdir: ## complete the running kernel's headers with their Rust metadata
	@scripts/kdir >/dev/null

doctor: ## check what this machine has for building and loading Rust modules
	@scripts/doctor

clean: ## remove what was built, in the tree
	@rm -rf build
	@if [ -e $(KDIR)/Makefile ]; then $(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) clean; fi

distclean: clean ## remove the cache folder too: roots, kernels, completed headers
	@scripts/clean-cache

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

endif
