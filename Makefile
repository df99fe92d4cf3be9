# SPDX-License-Identifier: GPL-2.0
# Targets for people, packages and DKMS. Those for any module are in scripts/lib/module.mk. kbuild
# reads Kbuild and not this file.

include scripts/lib/module.mk

.PHONY: demo program fuzz soak bench deb system-test

demo: ## boot Debian's kernel in a VM and show the module at work
	@scripts/demo

program: ## build the program umsg, which make install then installs (scripts/program --help)
	@scripts/program

fuzz: ## make a million random system calls on /dev/umsg in a VM (scripts/fuzz --help)
	@scripts/fuzz

soak: ## repeat the long tests for an hour (scripts/soak --help)
	@scripts/soak

bench: ## compare the cost of a record with pipe, sockets, tmpfs and /dev/kmsg (scripts/bench --help)
	@scripts/bench

deb: ## build Debian's packages umsg, umsg-dkms and rust-kdir (scripts/deb --help)
	@scripts/deb

system-test: ## install, boot, upgrade and remove the packages in a Debian system in a VM
	@tests/box/run
