# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables for and from the caller
#
# The architectures of the kernels that scripts/vm boots, by Debian's names. Sourced after common.sh.
# The machine that runs the scripts is amd64; programs and modules for others are cross-compiled.

# set_architecture NAME: sets
#     triplet         the prefix of compilers and binutils
#     rust_target     the target of user programs for rustc and cargo
set_architecture() {
    architecture=$1
    case $architecture in
    amd64) triplet=x86_64-linux-gnu rust_target=x86_64-unknown-linux-gnu ;;
    arm64) triplet=aarch64-linux-gnu rust_target=aarch64-unknown-linux-gnu ;;
    *) die "unknown architecture \"$architecture\"" ;;
    esac
}
