"""What /proc says of processes: memory, CPU time, children. Nothing here starts or ends one."""

import os
import time

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat from the third one on: the second, in parentheses, may hold blanks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        return f.read().rpartition(")")[2].split()


def cpu_s(pid):
    """User and system time of one process."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def tree_cpu_s(pid):
    """The same of a process and its children; those that have ended count through their parent."""
    fields = _stat(pid)
    total = sum(int(n) for n in fields[11:15]) / _TICKS
    for child in children(pid):
        try:
            total += cpu_s(child)
        except (FileNotFoundError, ProcessLookupError):
            pass        # ended meanwhile: its parent has its time now, or will
    return total


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


def memory_kib(pid, name="VmRSS"):
    """VmRSS, or VmHWM: the most it ever was."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise KeyError(name)


def reset_peak(pid):
    """VmHWM starts again from what is resident now."""
    try:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")
    except OSError:
        pass


def step_aside(pid):
    """It gets what others leave of the cores: its nice value, and that of its session, which is what counts where the kernel groups by those."""
    os.setpriority(os.PRIO_PROCESS, pid, 19)
    try:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as f:
            f.write("19")
    except OSError:
        pass


def busy_percent(seconds=1.0):
    """How much of all cores is in use, over so many seconds."""
    def read():
        with open("/proc/stat", encoding="ascii") as f:
            numbers = [int(word) for word in f.readline().split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]

    total, idle = read()
    time.sleep(seconds)
    total2, idle2 = read()
    return 100 - 100 * (idle2 - idle) / max(total2 - total, 1)
