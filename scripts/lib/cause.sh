# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Finds the cause of a failure in the output of apt, dpkg and mmdebstrap.

# cause_of LOG: sets
#     kind      unreachable, broken, step, gone, disk, signature, missing or other
#     cause     one line for an error message
#     advice    how to fix it
# shellcheck disable=SC2034 # for the caller
cause_of() {
    kind=${1:+$(find_cause "$1")}
    cause=${kind#*	}
    kind=${kind%%	*}
    case $kind in
    unreachable) advice='connect this machine to the archive (a proxy goes into http_proxy) and run the same command again' ;;
    broken) advice='run the same command again: complete downloads are kept' ;;
    step | gone) advice='run the same command again in an hour, or use another mirror: UMSG_MIRROR=URL' ;;
    disk) advice="free space there, or set XDG_CACHE_HOME to a folder on a larger disk, and run the same command again: complete downloads are kept" ;;
    signature) advice='check the clock of this machine and the package debian-archive-keyring' ;;
    *) advice='see the log' ;;
    esac
}

# find_cause LOG: prints KIND, a tab and the cause, from the first line of the most specific kind. A full
# disk has precedence, because it makes everything else fail.
find_cause() {
    awk '
        # The name of a file in the archive; for an index, with its path.
        function file(url) {
            sub(/\?.*/, "", url)
            if (match(url, /dists\/[^ ]*$/)) {
                url = substr(url, RSTART + 6)
            } else {
                sub(/.*\//, "", url)
            }
            gsub(/%3a/, ":", url)
            return url
        }
        function host(url) {
            sub(/^[a-z+]*:\/\//, "", url)
            sub(/[\/ ].*/, "", url)
            return url
        }
        function found(rank, kind, text) {
            if (best == 0 || rank < best) {
                best = rank
                result = kind "\t" text
            }
        }
        # Errors before another attempt are not the cause. Neither are errors that the script ignores,
        # unless a package is missing afterwards.
        /^== going on/ { without = best ? result : "" }
        /^== (trying again|going on|installing)/ { best = 0 }
        /^== / { next }
        /No space left on device|enough free space in|Disk quota exceeded/ {
            found(1, "disk", "the disk is full (" $0 ")")
        }
        /NO_PUBKEY|is not signed|EXPKEYSIG|BADSIG|invalid signature|[Ss]ignature verification failed|Release file .* (is not valid yet|expired|is expired)/ {
            found(2, "signature", "the signature of the archive is not valid (" $0 ")")
        }
        /Failed to fetch / {
            url = $0
            sub(/.*Failed to fetch /, "", url)
            reason = url
            sub(/ .*/, "", url)
            sub(/[^ ]* +/, "", reason)
            sub(/ *\[IP: .*/, "", reason)
        }
        /Failed to fetch / && reason ~ /resolv|[Cc]ould not connect|[Uu]nable to connect|initiate the connection|[Nn]etwork is unreachable|No route|onnection refused|onnection timed out/ {
            found(3, "unreachable", "the archive at " host(url) " cannot be reached (" reason ")")
            next
        }
        !/Failed to fetch / && /(resolving|[Cc]ould not (resolve|connect)|[Nn]etwork is unreachable|[Cc]onnection (refused|timed out))/ {
            found(4, "unreachable", "the archive cannot be reached (" $0 ")")
        }
        /Failed to fetch / && reason ~ /unexpected size|sync in progress|Hash Sum mismatch|hashsum/ {
            if (url ~ /dists\//) {
                found(5, "step", "the index " file(url) " of the archive is out of step with its Release file (a mirror in the middle of an update)")
            } else {
                found(5, "step", file(url) " is not the file that the index of the archive names (a mirror in the middle of an update)")
            }
            next
        }
        /Failed to fetch / && reason ~ /^(404|410) |File not found/ {
            found(5, "gone", "the archive at " host(url) " has no " file(url))
            next
        }
        /Failed to fetch / {
            found(6, "broken", "the connection to " host(url) " was lost while " file(url) " was downloaded (" reason ")")
            next
        }
        /Unable to locate package|has no installation candidate|Version .* was not found|Release .* was not found|unmet dependencies|depends on no kernel image/ {
            found(7, "missing", $0)
        }
        /^(mklayer|setup-apt): / { found(8, "other", substr($0, index($0, ": ") + 2)) }
        /^E: |^dpkg: error / { found(8, "other", $0) }
        NF { last = $0 }
        END {
            if (best == 7 && without != "") {
                result = without
            } else if (best == 0) {
                result = "other\t" (last == "" ? "no error message" : last)
            }
            sub(/\tE: /, "\t", result)
            sub(/\(E: /, "(", result)
            print result
        }' "$1"
}
