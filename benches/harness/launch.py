"""Runs a command in a process of its own, and reports what it cost.

A process keeps its peak memory through `exec`. So a command started by the harness itself would never show less than the harness
has ever used. This launcher uses hardly any memory.

Usage: launch.py DESCRIPTOR COMMAND [ARGUMENT ...]. It writes one line to the descriptor: exit code, seconds of wall time, seconds
of CPU time, peak in KiB.
"""

import os
import sys
import time


def main():
    descriptor, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(descriptor, False)
    start = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    os.write(descriptor, f"{code} {wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}\n".encode())


main()
