"""Runs benchmarks in the Linux peer, and prints their results. PEER is the folder that it was built in.

  drive.py PEER own WORD...        what the peer's own driver does with these words
  drive.py PEER line DISK LINE     one line of shell, with a disk of ours at /mnt

The machine is the peer's, started by its own driver's code. What the host did meanwhile stands
beside each result, under the names that it uses.
"""
import json
import pathlib
import sys
import time

END = "LINE-ENDED-"
PATIENCE_S = 1800
PROMPT_S = 180
VARIANT = "linux.seabios"
PANIC = "Kernel panic"
# QEMU's translation of `cmpxchg16b` can leave nonsense in the flags register, and Linux dies of it where it allocates memory. Without the
# instruction it does the same with interrupts off.
WORDS = " clearcpuid=cx16"


def machine(peer, disk):
    """QEMU's command line: the peer's, with one disk instead of its own."""
    drive = ["-drive", f"if=none,id=ours,format=raw,snapshot=on,file={disk}", "-device", "virtio-blk-pci,drive=ours"]
    return peer.qemu_args(peer.options(**{**peer.MATRIX[VARIANT], "disk": False, "extra": drive}))


def prompt(guest):
    """Waits for the shell. Linux does not always survive its start under translation: that is said at once."""
    for _ in range(PROMPT_S):
        try:
            guest.wait("peer# ", 1)
            return
        except TimeoutError:
            if PANIC.encode() in guest.buf:
                break
    sys.exit(f"Linux did not start: {guest.buf[-200:]!r}")


class Meanwhile:
    """What the host does between one result and the next."""

    def __init__(self, peer, guest):
        self.peer, self.guest, self.before = peer, guest, None
        self.before = self.read()

    def read(self):
        return (*self.guest.usage(), self.peer.host_busy(), time.monotonic())

    def lap(self):
        now = self.read()
        cpu, wait, busy, wall = (after - before for after, before in zip(now, self.before))
        self.before, wall = now, max(wall, 1e-3)
        others = max(0.0, busy - cpu) / (wall * self.peer.NCPU)
        return {"wall": round(wall, 3), "cpu": round(cpu, 3), "wait": round(wait, 3), "other": round(others, 3)}


def results(guest):
    """The lines of JSON that come until the shell says that its line has ended."""
    while True:
        guest.wait("\n", PATIENCE_S)
        line = guest.buf[:guest.scan].rsplit(b"\n", 2)[-2].decode(errors="replace").strip()
        if PANIC in line:
            sys.exit(f"Linux died: {guest.buf[-2000:]!r}")
        if END in line:
            status = line.split(END)[1]
            if status != "0":
                sys.exit(f"the line ended with {status}: {guest.buf[-400:]!r}")
            return
        if line.startswith("{"):
            yield json.loads(line)


def run_line(peer, disk, line):
    with peer.Guest(machine(peer, disk)) as guest:
        prompt(guest)
        guest.sh("mount -t ext4 /dev/vda /mnt")
        # The shell shows what is typed: the end's mark is put together only when it is printed.
        guest.send(f"{line}; echo {END[:-1]}$(echo -)$?")
        guest.wait("\n", 30)
        meanwhile = Meanwhile(peer, guest)
        for result in results(guest):
            print(json.dumps({**result, "guest": VARIANT, **meanwhile.lap()}), flush=True)


def main():
    folder, what, *words = sys.argv[1:]
    sys.path.insert(0, str(pathlib.Path(folder).resolve()))
    sys.dont_write_bytecode = True
    import peer
    peer.DEFAULT["cmdline"] += WORDS
    if what == "line":
        run_line(peer, *words)
    else:
        sys.argv = ["peer.py", *words]
        peer.main()


if __name__ == "__main__":
    main()
