# SPDX-License-Identifier: GPL-2.0
# The targets of a module's Makefile that serve any module: thin wrappers around scripts/. The
# module is in the folder of the Makefile that includes this file. kbuild reads Kbuild only.

module-mk := $(lastword $(MAKEFILE_LIST))
scripts := $(patsubst %/lib/module.mk,%,$(module-mk))
export MODULE_DIR := $(CURDIR)

# The kernel to build for: RELEASE, or KERNELRELEASE as DKMS calls it. A RELEASE in the environment
# is ignored, because the name is too common.
given := $(if $(filter command,$(origin RELEASE)),$(RELEASE))
ifneq ($(or $(given),$(KERNELRELEASE)),$(or $(KERNELRELEASE),$(given)))
$(error RELEASE=$(RELEASE) and KERNELRELEASE=$(KERNELRELEASE) name different kernels: give one of them)
endif
given := $(or $(given),$(KERNELRELEASE))
override RELEASE := $(or $(given),$(shell uname -r))

# The headers of RELEASE with the metadata that scripts/kdir added, otherwise without. Looked up
# once, by the first target that needs them.
KDIR ?= $(eval KDIR := $$(or $$(shell $(scripts)/kdir --find '$(RELEASE)'),/lib/modules/$(RELEASE)/build))$(KDIR)

.PHONY: all modules install uninstall install-files sign clean help test matrix lint kunit vm doctor kdir rust-analyzer distclean

modules: ## build the module against KDIR (default: the headers of the running kernel)
	@$(scripts)/lib/host/check-kdir '$(KDIR)' '$(given)'
	+@$(scripts)/lib/host/kbuild '$(KDIR)' 'MO=$(CURDIR)/build/module' modules
	@name=$$($(scripts)/lib/host/module-name) && cp build/module/$$name.ko .

all: modules

# Builds nothing, so that root needs no cache and owns no files in the tree.
install: ## install the built module for modprobe (as root)
	@$(scripts)/install '$(KDIR)' $(if $(given),'$(given)')

uninstall: ## remove what make install installed (as root)
	@$(scripts)/install --remove

install-files: ## install headers, manual pages and configuration without the module, for packages
	@$(scripts)/install --files

sign: ## sign the built module, by KEY and CERTIFICATE or DKMS's key
	@$(scripts)/sign $(if $(KEY),--key '$(KEY)') $(if $(CERTIFICATE),--certificate '$(CERTIFICATE)') '$(KDIR)'

test: ## run the full test suite
	@$(scripts)/test

lint: ## run static checks only
	@$(scripts)/lint

matrix: ## test the module on each kernel that scripts/vm can boot, and print a table
	@$(scripts)/matrix

kunit: ## run the KUnit suites in the debug kernel
	@$(scripts)/kunit

vm: ## boot Debian's kernel in a VM with the module and start a shell
	@$(scripts)/vm

doctor: ## check what this machine has for building and loading Rust modules, or the module FILE
	@$(scripts)/doctor '$(or $(FILE),$(RELEASE))'

kdir: ## add Rust metadata to the distribution's headers (once per kernel)
	@folder=$$($(scripts)/kdir '$(RELEASE)') && echo "headers of $(RELEASE) with Rust metadata: $$folder"

rust-analyzer: ## write rust-project.json, for editors
	@$(scripts)/lib/host/check-kdir '$(KDIR)' '$(given)'
	+@$(scripts)/rust-analyzer '$(KDIR)'

clean: ## remove what was built, in the tree
	@name=$$($(scripts)/lib/host/module-name) && rm -rf build $$name.ko
	+@[ ! -e modules.order ] || $(scripts)/lib/host/kbuild '$(KDIR)' clean

distclean: clean ## remove the cache too: chroots, kernels, prepared headers
	@rm -f rust-project.json
	@$(scripts)/lib/host/chroot --remove
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/umsg"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' \
		$(module-mk) $(filter-out $(module-mk),$(MAKEFILE_LIST))
	@echo 'Variables, on the command line or, except for RELEASE, in the environment:'
	@echo '  RELEASE, KERNELRELEASE   the kernel to build for (default: the running one)'
	@echo '  KDIR                     the headers with Rust metadata to build against'
	@echo '  FILE                     for make doctor: the module that the kernel did not load'
	@echo '  LLVM                     the clang to use (default: as the kernel was built)'
	@echo '  DESTDIR, INSTALL_MOD_PATH, INSTALL_MOD_DIR, INSTALL_MOD_STRIP'
	@echo '                           for make install, see scripts/install --help; DESTDIR is'
	@echo '                           put in front of all paths, for packages'
	@echo '  prefix, sysconfdir       for make install: its other folders (default: /usr/local, /etc)'
	@echo '  KEY, CERTIFICATE         for make sign (default: the key that DKMS made)'
	@echo '  XDG_CACHE_HOME           the folder of the cache (default: ~/.cache)'
	@echo '  UMSG_MIRROR              a mirror to use instead of the archive of Debian'
