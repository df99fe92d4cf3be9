# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of common.sh
#
# What a layer of the build chroot is. Each file in layers/ describes one:
#
#     on LAYER                the layer below, of which this one is a copy with more in it
#     suite SUITE             instead of "on": a bare Debian of this release
#     more SUITE              a further suite in its list of sources
#     packages NAME...        packages of the release
#     newer SUITE NAME...     packages of a further suite
#     kernel SUITE NAME       the kernel that the package NAME of SUITE depends on:
#                             headers, source and image, all of one version
#     for TEXT                what does not work without the layer, for messages
#
# A layer is a whole root of its own, whose files in /usr are links to those of the
# layer below. Its name ends in a hash of its recipe and of all below it.

# UMSG_LAYERS names another folder of descriptions, which the tests have.
layers=${UMSG_LAYERS:-$top/scripts/lib/layers}

# layer_field LAYER NAME: the values of the lines NAME of a description.
layer_field() {
    sed -n "s/^$2 //p" "$layers/$1"
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
        cat "$layers/$1" "$top/scripts/lib/mklayer"
    } | fingerprint
}

# layer_path LAYER: the folder of the layer. It may not be there yet.
layer_path() {
    echo "$cache/root/$1-$(layer_key "$1")"
}

# layer_marker DIR: the file in the folder of a layer that is there once it is
# complete. Its time is that of the last use.
layer_marker() {
    echo "$1/usr/share/umsg/layers"
}
