# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables for and from the caller
#
# The layers of the build chroot. Sourced after common.sh. Each file in layers/ describes one layer:
#
#     on LAYER                the layer below, of which this layer is an extended copy
#     suite SUITE             instead of "on": a bare Debian of this release
#     more SUITE              another suite in its list of sources
#     apt OPTION              with "suite": an option of apt, also in the layers above
#     architecture NAME       the architecture of the kernels of this layer and of those above,
#                             if not amd64. Their programs are for amd64
#     packages NAME...        packages of the release
#     guest NAME...           packages whose programs guests have. A layer with another
#                             architecture unpacks them and their dependencies in the folder
#                             guest of $chroot_data
#     unpack NAME...          packages of the other architecture, unpacked without dependencies
#     newer SUITE NAME...     packages of another suite
#     kernel SUITE NAME       the kernel that the package NAME of SUITE depends on:
#                             headers, source and image of one version
#     kernel SUITE NAME previous
#                             the newest kernel in the archive whose X.Y is lower
#     image SUITE NAME        the image alone of the kernel that the package NAME of SUITE
#                             depends on, which must have no Rust support
#     archive NAME...         packages that stay packages, with all that they need: a folder
#                             archive of $chroot_data from which apt can install them
#     archive-kernels SUITE NAME
#                             image, headers and source of the kernel that NAME depends on
#                             and of the one before it, in the same folder
#     for TEXT                what fails without the layer, for messages
#
# A layer is a complete root file system. Its files in /usr are hard links to those of the layer
# below. Its folder's name ends in a hash of its recipe and of the recipes of all layers below.

# UMSG_LAYERS names another folder of descriptions, for tests.
layers=${UMSG_LAYERS:-$lib/layers}

# The chroot's folder for data of these scripts.
chroot_data=/usr/share/build-chroot

enter=$lib/host/enter
mklayer=$lib/host/mklayer
setup_apt=$lib/host/setup-apt

# layer_field LAYER NAME: the values of the lines NAME of a description.
layer_field() {
    sed -n "s/^$2 //p" "$layers/$1"
}

# layer_value LAYER NAME: the same of the layer, or else of the nearest layer below that has one.
layer_value() {
    value=$(layer_field "$1" "$2")
    below=$(layer_field "$1" on)
    if [ -z "$value" ] && [ -n "$below" ]; then
        layer_value "$below" "$2"
    else
        echo "$value"
    fi
}

# layer_architecture LAYER: the architecture of the layer's kernel and guest.
layer_architecture() {
    name=$(layer_value "$1" architecture)
    echo "${name:-amd64}"
}

# layer_names: the known layers.
layer_names() {
    (cd "$layers" && echo *)
}

# layer_key LAYER: the hash.
layer_key() {
    {
        below=$(layer_field "$1" on)
        if [ -n "$below" ]; then
            layer_key "$below"
        fi
        recipe "$layers/$1" | grep -v '^for '
        recipe "$mklayer" "$setup_apt" "$lib/apt.sh"
    } | fingerprint
}

# layer_path LAYER: the folder of the layer, which may not exist yet.
layer_path() {
    echo "$cache/chroot/$1-$(layer_key "$1")"
}

# layer_marker DIR: the file that exists in the folder of a complete layer. Its modification time is
# the time of the last use.
layer_marker() {
    echo "$1$chroot_data/layers"
}
