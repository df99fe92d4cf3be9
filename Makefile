# SPDX-License-Identifier: GPL-2.0
# The verbs, thin wrappers: what is built stands in Kbuild, what is done in scripts/.

# Read by kbuild too, which wants nothing of what follows.
ifeq ($(KERNELRELEASE),)

ifneq ($(words $(CURDIR)),1)
$(error kbuild takes no path with white space in it: move "$(CURDIR)")
endif

# The kernel to build for, and its headers, in the completed form where scripts/kdir has made one.
RELEASE := $(shell uname -r)
KDIR ?= $(or $(shell scripts/kdir --find $(RELEASE)),/lib/modules/$(RELEASE)/build)

.PHONY: modules install clean help demo test lint kunit fuzz soak bench doctor kdir distclean

modules: ## build umsg.ko against KDIR (default: the headers of RELEASE, the running kernel)
	@scripts/check-kdir $(KDIR)
	@$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) modules

# Builds nothing: root need not have the cache of who built it, nor own files in the tree.
install: ## install the umsg.ko that was built, for modprobe (as root)
	@scripts/install $(KDIR)

demo: ## boot Debian's own kernel in QEMU and show the module at work
	@scripts/vm --file scripts/demo -- ./demo

test: ## all the project has to check itself with
	@scripts/test

lint: ## look at the source without running it: a part of make test
	@scripts/lint

kunit: ## run the KUnit suites in the booted debug kernel, as the kernel's kunit.py shows them
	@scripts/kunit

fuzz: ## make a million wild calls on the device in a booted kernel (scripts/fuzz --help)
	@scripts/fuzz

soak: ## the long form of the tests, for an hour (scripts/soak --help)
	@scripts/soak

bench: ## what a record costs, beside its peers (scripts/bench --help)
	@scripts/bench

kdir: ## complete the headers of RELEASE with their Rust metadata
	@scripts/kdir $(RELEASE) >/dev/null

doctor: ## check what this machine has for building and loading Rust modules
	@scripts/doctor $(RELEASE)

clean: ## remove what was built, in the tree
	@rm -rf build
	@if [ -e $(KDIR)/Makefile ]; then $(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) clean; fi

distclean: clean ## remove the cache folder too: roots, kernels, completed headers
	@scripts/root --remove
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/umsg"

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

endif
