"""What a program really costs: CPU of all its processes and the largest memory of each.

Everything a driver starts (client, servers, database) stays in one control group, also when it becomes
a daemon, so `cpu` is the sum over all of them.  Memory is sampled every 50 ms.  Needs root.
"""
import collections
import os
import re
import sys
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
CONTROLLERS = (  # folder, file that proves it can count
    ("/sys/fs/cgroup/cpuacct", "cpuacct.usage"),  # version 1
    ("/sys/fs/cgroup", "cpu.stat"),  # version 2
    ("/sys/fs/cgroup/unified", "cpu.stat"),  # both
)


class Group:
    """A control group for one peer."""

    def __init__(self, name):
        for base, proof in CONTROLLERS:
            self.folder, self.proof = os.path.join(base, f"holdfast-bench-{os.getpid()}-{name}"), proof
            try:
                os.mkdir(self.folder)
                open(os.path.join(self.folder, proof)).close()
                return
            except OSError:
                continue
        sys.exit("no usable control group (needs root)")

    def _read(self, name):
        with open(os.path.join(self.folder, name)) as file:
            return file.read()

    def cpu(self):
        """Seconds (user, system) of all processes that ever were in the group."""
        if self.proof == "cpuacct.usage":
            return int(self._read("cpuacct.usage_user")) / 1e9, int(self._read("cpuacct.usage_sys")) / 1e9
        stat = dict(line.split() for line in self._read("cpu.stat").splitlines())
        return int(stat["user_usec"]) / 1e6, int(stat["system_usec"]) / 1e6

    def processes(self):
        return [int(pid) for pid in self._read("cgroup.procs").split()]

    def enter(self):
        """Called in the child between fork and exec."""
        with open(os.path.join(self.folder, "cgroup.procs"), "w") as file:
            file.write(str(os.getpid()))

    def close(self):
        for _ in range(50):
            try:
                return os.rmdir(self.folder)
            except OSError:
                time.sleep(0.1)
        print("processes left in", self.folder, self.processes(), file=sys.stderr)


class Sampler(threading.Thread):
    """Memory and CPU by program while a verb runs."""

    def __init__(self, group):
        super().__init__(daemon=True)
        self.group, self.stop = group, threading.Event()
        self.resident, self.anonymous, self.seconds = {}, {}, {}
        for pid in group.processes():  # the peak counts from here
            try:
                with open(f"/proc/{pid}/clear_refs", "w") as file:
                    file.write("5")
            except OSError:
                pass
        self._sample()
        self.before, self.resident, self.anonymous = dict(self.seconds), {}, {}

    def _sample(self):
        for pid in self.group.processes():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    stat = file.read()
                with open(f"/proc/{pid}/status") as file:
                    status = file.read()
                name = stat[stat.index("(") + 1 : stat.rindex(")")]
                fields = stat[stat.rindex(")") + 2 :].split()
                peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1))
                anonymous = int(re.search(r"RssAnon:\s+(\d+)", status).group(1))
            except (OSError, ValueError, AttributeError):  # gone, or a kernel thread
                continue
            key = (pid, name)
            self.seconds[key] = (int(fields[11]) + int(fields[12])) / TICKS
            self.resident[key] = max(peak, self.resident.get(key, 0))
            self.anonymous[key] = max(anonymous, self.anonymous.get(key, 0))

    def run(self):
        while not self.stop.wait(0.05):
            self._sample()

    def result(self):
        """(resident KiB, anonymous KiB, CPU seconds), each by program name."""
        self.stop.set()
        self.join()
        self._sample()
        resident, anonymous, seconds = collections.Counter(), collections.Counter(), collections.Counter()
        for (_, name), size in self.resident.items():
            resident[name] = max(resident[name], size)
        for (_, name), size in self.anonymous.items():
            anonymous[name] = max(anonymous[name], size)
        for key, value in self.seconds.items():
            seconds[key[1]] += max(0, value - self.before.get(key, 0))
        return dict(resident), dict(anonymous), {k: round(v, 2) for k, v in seconds.items() if v > 0}
