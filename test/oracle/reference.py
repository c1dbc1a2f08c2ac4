"""Runs cases of the differential oracle under Wasmtime's package for Python.

Reads one JSON object from standard input (xtask/src/oracle/reference.rs writes it) and prints one JSON object a line, in
the order of the cases: the exit code, and what there is to say about an end that the program did not want. Each case runs
in a process of its own, so that none can end or spoil another. With `--version` it says what it is.
"""

import importlib.metadata
import json
import os
import platform
import select
import signal
import sys
import wasmtime
from wasmtime import component

# Exit codes of a program that trapped and of one that cannot be run, as shells have them.
TRAPPED = 134
UNUSABLE = 126
# A case that takes longer hangs.
SECONDS_MAX = 120
RUN_INTERFACE = "wasi:cli/run@0.2.0"


def main():
    if sys.argv[1:] == ["--version"]:
        version = importlib.metadata.version("wasmtime")
        print(f"wasmtime {version} for Python, under Python {platform.python_version()}")
        return
    wanted = json.load(sys.stdin)
    for program in wanted["programs"].values():
        if not os.path.exists(program["code"]):
            # Compiling makes threads; who forks has none.
            in_a_process(lambda: compile_program(**program))
    engine = wasmtime.Engine()
    programs = {
        name: component.Component.deserialize_file(engine, program["code"])
        for name, program in wanted["programs"].items()
    }
    for case in wanted["cases"]:
        program = programs[case["run"][0]]
        print(json.dumps(in_a_process(lambda: run_case(engine, program, case))), flush=True)


def in_a_process(work):
    """What `work` returns in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            json.dump(work(), out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        if not select.select([answer], [], [], SECONDS_MAX)[0]:
            os.kill(child, signal.SIGKILL)
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        sys.exit(f"a process of the reference ended with status {status}")
    return json.loads(text)


def compile_program(wasm, code):
    with open(wasm, "rb") as file:
        compiled = component.Component(wasmtime.Engine(), file.read()).serialize()
    partial = f"{code}.partial-{os.getpid()}"
    with open(partial, "wb") as file:
        file.write(compiled)
    os.rename(partial, code)


def run_case(engine, program, case):
    store = wasmtime.Store(engine)
    store.set_wasi(configuration(case))
    store.set_wasi_http()
    try:
        run = link(engine, store, program)
    except wasmtime.WasmtimeError as error:
        return ended(UNUSABLE, str(error))
    try:
        return ended(0 if run(store).tag == "ok" else 1)
    except wasmtime.ExitTrap as exit_trap:
        return ended(exit_trap.code)
    except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
        return ended(TRAPPED, str(error))


def ended(code, message=""):
    return {"code": code, "message": message}


def link(engine, store, program):
    """The program's `run`."""
    linker = component.Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    instance = linker.instantiate(store, program)
    interface = instance.get_export_index(store, RUN_INTERFACE)
    return instance.get_func(store, instance.get_export_index(store, "run", interface))


def configuration(case):
    wasi = wasmtime.WasiConfig()
    wasi.argv = case["run"]
    wasi.env = case["environment"]
    wasi.stdin_file = case["stdin"]
    wasi.stdout_file = case["stdout"]
    wasi.stderr_file = case["stderr"]
    wasi.preopen_dir(case["tree"], "/", not case["read_only"])
    return wasi


main()
