"""Machines of a test's own, as far as one machine can be several, and clocks that are wrong.

A host has its own network, processes (its first one is number 1), mounts, name of its boot, time since its boot and wall clock, and its own
clone of the codebase.  What is shared is the file system, and so a server's Unix socket.

    one = hosts.Host(server_url, wall_s=5 * 3600, boot_s=1000000)
    agent = one.agent()
    agent.hook({...})

A container has only its own processes (and, if wanted, its own time since the boot), and a repository's store.

    inside = hosts.Container(repo)
    inside.json("lock", "list")
"""
import copy
import json
import os
import select
import struct
import subprocess
import sys
import uuid

import stile_test

LIMIT = stile_test.LIMIT

# $SHIFTED_CLOCK names a file of one whole number: so many seconds the wall clock is ahead, from now on, of what it was.
CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const long long *shift;

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("SHIFTED_CLOCK");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (memory != MAP_FAILED)
		shift = memory;
}

int
clock_gettime(clockid_t clock, struct timespec *out)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, out);

	if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && shift != NULL)
		out->tv_sec += *shift;
	return failed;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;
	int failed = clock_gettime(CLOCK_REALTIME, &now);

	(void)zone;
	if (failed == 0) {
		out->tv_sec = now.tv_sec;
		out->tv_usec = now.tv_nsec / 1000;
	}
	return failed;
}

time_t
time(time_t *out)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}
"""

# The first process of a host.  It does what it is told, one line of JSON a command.
FIRST = r"""
import json, os, subprocess, sys
agents = {}

def start(one):
    process = subprocess.Popen(one["argv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=one["env"], cwd=one["cwd"])
    process.stdin.write(one["input"].encode("latin-1"))
    process.stdin.close()
    process.stdin = None
    return process

def end(process):
    out, err = process.communicate()
    return [process.returncode, out.decode("latin-1"), err.decode("latin-1")]

def new_agent(pid):
    if pid:
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(pid - 1))
    agent = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    agents[agent.pid] = agent
    return agent.pid

def do(ask):
    if "all" in ask:
        return [end(process) for process in [start(one) for one in ask["all"]]]
    if "new" in ask:
        return new_agent(ask["new"])
    agent = agents[ask["agent"]]
    if "kill" in ask:
        agent.kill()
        return agent.wait()
    agent.stdin.write(json.dumps(ask["one"]).encode() + b"\n")
    agent.stdin.flush()
    return json.loads(agent.stdout.readline())

print(json.dumps(os.getpid()), flush=True)
for line in sys.stdin:
    print(json.dumps(do(json.loads(line))), flush=True)
"""


class Clock:
    """A wall clock that is wrong for whoever is started with its `env`, by as much as it is set to."""

    def __init__(self, folder, seconds=0):
        self.library = os.path.join(folder, "clock.so")
        self.file = os.path.join(folder, "clock")
        self.set(seconds)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", self.library],
                       input=CLOCK, text=True, check=True, timeout=LIMIT)
        self.env = {"LD_PRELOAD": self.library, "SHIFTED_CLOCK": self.file}

    def set(self, seconds):
        fd = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o644)
        with open(fd, "wb") as file:
            file.write(struct.pack("=q", seconds))


class Host:
    def __init__(self, store, wall_s, boot_s):
        self.repo = stile_test.Repo()
        self.boot = str(uuid.uuid4())
        self.clock = Clock(self.repo.folder, wall_s)
        self.repo.env.update(self.clock.env, STILE_STORE=store)
        # ours comes before a sanitizer's, and need not be built as it wants it
        self.repo.env["ASAN_OPTIONS"] = self.repo.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.process = subprocess.Popen(self.words(boot_s), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            first = self.answer()
        except (OSError, ValueError, TimeoutError):
            first = None
        if first != 1:
            self.close()
            raise AssertionError("this machine gives no namespaces: %s" % self.process.stderr.read().decode("utf-8", "replace"))

    def words(self, boot_s):
        name = os.path.join(self.repo.folder, "boot_id")
        with open(name, "w", encoding="ascii") as file:
            file.write(self.boot + "\n")
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        return ["unshare", *user, "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--time", "--boottime", str(boot_s),
                "--monotonic", str(boot_s), "--", "sh", "-c", 'mount --bind "$1" /proc/sys/kernel/random/boot_id && exec "$2" -c "$3" "$4"',
                "host", name, sys.executable, FIRST, stile_test.AGENT]

    def within(self):
        """Its repository, whose commands are run there from here: they can be talked to while they run."""
        repo = copy.copy(self.repo)
        repo.prefix = enter(self.process, repo.path, "--net", "--ipc", "--uts", "--time")
        return repo

    def tell(self, **what):
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        if not ready:
            raise TimeoutError("a host does not answer")
        return json.loads(self.process.stdout.readline())

    def ask(self, **what):
        self.tell(**what)
        return self.answer()

    def command(self, argv, input=None, env=None, cwd=None):
        how = self.repo.command(argv, env, cwd)
        return dict(argv=how["args"], env=how["env"], cwd=how["cwd"], input=stile_test.as_bytes(input).decode("latin-1"))

    def start_all(self, *all_args):
        """`stile ARGS` for each of them at the same time; end_all waits."""
        self.tell(all=[self.command([self.repo.stile, *map(str, args)]) for args in all_args])

    def end_all(self):
        return [result(one) for one in self.answer()]

    def any(self, *argv, **options):
        return result(self.ask(all=[self.command(argv, **options)])[0])

    def run(self, *args, **options):
        return self.any(self.repo.stile, *map(str, args), **options)

    json = stile_test.Repo.json

    def agent(self, pid=0):
        """A new agent process, with that number if one is given."""
        return Agent(self, self.ask(new=pid))

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.repo.close()


class Agent:
    def __init__(self, host, pid):
        self.host, self.pid = host, pid

    def any(self, *argv, **options):
        return result(self.host.ask(agent=self.pid, one=self.host.command(argv, **options)))

    def run(self, *args, **options):
        return self.any(self.host.repo.stile, *map(str, args), **options)

    json = stile_test.Repo.json
    hook = stile_test.Repo.hook

    def kill(self):
        """Ends it as a crash does, and waits until it is gone."""
        self.host.ask(agent=self.pid, kill=True)


def result(said):
    status, stdout, stderr = said
    return stile_test.result(status, stdout.encode("latin-1"), stderr.encode("latin-1"))


def enter(unshared, folder, *spaces):
    """The words to put before a command that is to run in `folder` where the first process of `unshare` does."""
    with open("/proc/%d/task/%d/children" % (unshared.pid, unshared.pid), encoding="ascii") as file:
        first = file.read().split()[0]
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", "--target", first, *user, "--pid", "--mount", *spaces, "--", "env", "-C", folder]


class Container(stile_test.Repo):
    FIRST = "import sys; print(flush=True); sys.stdin.read()"
    # whoever is begun next has that number
    BEGIN = '[ "$1" = 0 ] || echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid; sleep infinity </dev/null >/dev/null 2>&1 & echo $!'

    def __init__(self, repo, boot_s=None, apart=False):
        """With `apart` it works in a clone of its own."""
        super().__init__()
        self.env = dict(repo.env)
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        time = [] if boot_s is None else ["--time", "--boottime", str(boot_s), "--monotonic", str(boot_s)]
        self.first = subprocess.Popen(
            ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc", *time, "--", sys.executable, "-c", self.FIRST],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ready, _, _ = select.select([self.first.stdout], [], [], LIMIT)
        if not ready or not self.first.stdout.readline():
            raise AssertionError("this machine gives no namespaces: %s" % self.first.stderr.read().decode("utf-8", "replace"))
        self.prefix = enter(self.first, self.path if apart else repo.path, *([] if boot_s is None else ["--time"]))

    def process(self, pid=0):
        """A process that only lives, with that number if one is given -> its number in there."""
        return int(self.any("sh", "-c", self.BEGIN, "sh", str(pid)).stdout)

    def kill(self, *pids):
        self.any("kill", "-KILL", *map(str, pids))

    def parent(self, pid):
        return int(self.any("ps", "-o", "ppid=", "-p", str(pid)).stdout)

    def close(self):
        self.first.kill()
        self.first.wait()
        for stream in (self.first.stdin, self.first.stdout, self.first.stderr):
            stream.close()
        super().close()
