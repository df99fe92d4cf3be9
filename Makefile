# SPDX-License-Identifier: GPL-2.0
# Targets for people, packages and DKMS: thin wrappers around scripts/. kbuild reads Kbuild and not
# this file.

# The kernel to build for: RELEASE, or KERNELRELEASE as DKMS calls it. A RELEASE in the environment
# is ignored, because the name is too common.
given := $(if $(filter command,$(origin RELEASE)),$(RELEASE))
ifneq ($(or $(given),$(KERNELRELEASE)),$(or $(KERNELRELEASE),$(given)))
$(error RELEASE=$(RELEASE) and KERNELRELEASE=$(KERNELRELEASE) name different kernels: give one of them)
endif
given := $(or $(given),$(KERNELRELEASE))
override RELEASE := $(or $(given),$(shell uname -r))

# The headers of RELEASE with the metadata that scripts/kdir added, otherwise as they are. Looked up
# once, by the first target that needs them.
KDIR ?= $(eval KDIR := $$(or $$(shell scripts/kdir --find '$(RELEASE)'),/lib/modules/$(RELEASE)/build))$(KDIR)

.PHONY: all modules install clean help demo test lint kunit fuzz soak bench doctor kdir distclean

modules: ## build umsg.ko against KDIR (default: the headers of RELEASE, the running kernel)
	@scripts/lib/host/check-kdir '$(KDIR)' '$(given)'
	+@scripts/lib/host/kbuild '$(KDIR)' 'MO=$(CURDIR)/build/module' modules
	@cp build/module/umsg.ko .

all: modules

# Builds nothing: root need not have the cache of who built it, nor own files in the tree.
install: ## install the umsg.ko that was built, for modprobe (as root)
	@scripts/install '$(KDIR)' $(if $(given),'$(given)')

demo: ## boot Debian's own kernel in QEMU and show the module at work
	@scripts/demo

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
	@folder=$$(scripts/kdir '$(RELEASE)') && echo "The headers of $(RELEASE) are complete, in $$folder"

doctor: ## check what this machine has for building and loading Rust modules
	@scripts/doctor $(RELEASE)

clean: ## remove what was built, in the tree
	@rm -rf build umsg.ko
	+@[ ! -e modules.order ] || scripts/lib/host/kbuild '$(KDIR)' clean

distclean: clean ## remove the cache folder too: roots, kernels, completed headers
	@scripts/lib/host/chroot --remove
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/umsg"

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'Variables, on the command line or, except for RELEASE, in the environment:'
	@echo '  RELEASE, KERNELRELEASE   the kernel to build for (default: the running one)'
	@echo '  KDIR                     the folder of headers with Rust metadata to build against'
	@echo '  LLVM                     which clang to use (default: as the kernel was built)'
	@echo '  DESTDIR, INSTALL_MOD_PATH, INSTALL_MOD_DIR, INSTALL_MOD_STRIP'
	@echo '                           for make install, see scripts/install --help; DESTDIR is'
	@echo '                           put in front of INSTALL_MOD_PATH, for packages'
