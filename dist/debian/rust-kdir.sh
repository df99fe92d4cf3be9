#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
exec /usr/share/rust-kdir/scripts/kdir "$@"
