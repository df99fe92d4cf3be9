# SPDX-License-Identifier: GPL-2.0
"""Checks the records that were shipped from several logs, as objects of JSON in standard input.

usage: received.py LOG=COUNT...

The texts of a log are "LOG 0", "LOG 1" and so on. Each record has arrived once, was counted as lost,
or was announced as a possible repetition.
"""

import json
import sys

counts = {name: int(count) for name, count in (word.split("=") for word in sys.argv[1:])}
# The next record of each log, and the number of records that may be repeated.
following = dict.fromkeys(counts, 0)
announced = dict.fromkeys(counts, 0)
stored = lost = repeated = cut = 0
for line in sys.stdin:
    try:
        record = json.loads(line)
    except ValueError:
        # The program was killed in a write. The record comes again.
        cut += 1
        continue
    name = record["log"]
    if "repeated" in record:
        announced[name] = record["repeated"]
        continue
    seq = record["seq"]
    if "lost" in record:
        # Some of them may have arrived before the last kill.
        if seq - record["lost"] > following[name]:
            sys.exit(f"{record}, and {following[name]} was the next one")
        lost += max(0, seq - following[name])
        following[name] = max(seq, following[name])
        continue
    if record["text"] != f"{name} {seq}":
        sys.exit(f"another text: {record}")
    if seq < following[name]:
        if announced[name] == 0:
            sys.exit(f"repeated without a word: {record}, and {following[name]} was the next one")
        repeated += 1
    elif seq == following[name]:
        following[name] += 1
        stored += 1
    else:
        sys.exit(f"skipped without a word: {record}, and {following[name]} was the next one")
    announced[name] = max(0, announced[name] - 1)
if following != counts:
    sys.exit(f"not all arrived: {following}")
print(f"{stored} records were stored, {lost} lost, {repeated} repeated, {cut} lines cut off")
