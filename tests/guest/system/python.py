# SPDX-License-Identifier: GPL-2.0
"""A Python program that writes text files and log messages: usage: python.py NODE."""

import logging
import sys
import time

node = sys.argv[1]
with open(node, "w", encoding="utf-8") as log:
    for number in range(500):
        print("print", number, file=log)
    print("two lines\nin one", "ä" * 10, sep="\n", file=log)
handler = logging.FileHandler(node, mode="w", delay=True)
handler.setFormatter(logging.Formatter("<4>%(name)s %(levelname)s %(message)s"))
logging.getLogger().addHandler(handler)
for number in range(100):
    logging.getLogger("app").warning("logged %d", number)
sys.stdout = open(node, "w", buffering=1, encoding="utf-8")
print("line buffered, ", end="")
sys.stdout.flush()
time.sleep(0.01)
print("and ended")
