"""Run networks on Lava: a script for the Lava interpreter, fed and read through files.

    python worker.py JOB.json

It knows nothing of neurokd and computes nothing itself: it plays frames into each network and records,
at every Lava step, the spikes of every neuron layer and the read-out membrane. JOB.json is a list of::

    {"folder": where frames.npy lies and the records go, "network": the .net file, "steps": Lava steps to run,
     "reset_interval": steps per sample, "reset_offset": 0 or 1, "message_bits": 0 (spikes) or 8 (graded),
     "bias_input": the frames are the first layer's bias, "layers": neuron layers, "readout": index of a layer or null,
     "graph": null, or what to build in place of the file where it is no chain (neurokd/hardware/lava/graph_order.py),
     "starts": null, or {"initial", "soft"} per layer where neurons start or reset otherwise than Lava's,
     "fast": bool}

`frames.npy` is int32 `[steps, *shape]` in Lava's axis order (W, H, C). Written: `spikes-K.npy` uint8
`[steps, *shape of layer K]`, `readout.npy` int32 `[steps, N]` (v, not shifted) and `done.json` (seconds).
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

POLL_S = 0.25


def run_job(job: dict[str, Any]) -> None:
    """Build one network, run it, leave the records in the job's folder."""
    from processes.networks import chain_of, graph_of

    started = time.perf_counter()
    folder = Path(job["folder"])
    frames = np.load(folder / "frames.npy")
    network = (graph_of if job["graph"] else chain_of)(job, frames)
    if len(network.neurons) != job["layers"]:
        raise RuntimeError(f"{job['network']}: Lava has {len(network.neurons)} neuron layers, not {job['layers']}")
    if job["starts"]:
        for neuron, start in zip(network.neurons, job["starts"], strict=True):
            neuron.proc_params["initial"], neuron.proc_params["soft"] = start["initial"], start["soft"]
    _attach(network, job, folder)
    built = time.perf_counter()
    watched = threading.Event()
    threading.Thread(target=_watch_actors, args=(network, watched), daemon=True).start()
    _advance(network, job, frames, 0, 1)  # Lava compiles at the first step
    compiled = time.perf_counter()
    _advance(network, job, frames, 1, job["steps"])
    finished = time.perf_counter()
    watched.set()
    network.root.stop()
    seconds = {"build_s": built - started, "compile_s": compiled - built, "run_s": finished - compiled}
    (folder / "done.json").write_text(json.dumps(seconds))


def _attach(network: Any, job: dict[str, Any], folder: Path) -> None:
    """Connect a sink to every neuron layer, and one to the read-out membrane."""
    from processes.file_sink import FileSink
    from processes.membrane_sink import MembraneSink

    for index, output in enumerate(network.outputs):
        path = str(folder / f"spikes-{index}.npy")
        output.connect(FileSink(shape=output.shape, path=path, steps=job["steps"]).a_in)
    if job["readout"] is not None:
        membrane = network.neurons[job["readout"]].v
        MembraneSink(target=membrane, path=str(folder / "readout.npy"), steps=job["steps"])


def _advance(network: Any, job: dict[str, Any], frames: "np.ndarray[Any, Any]", done: int, until: int) -> None:
    """Run from after Lava step `done` up to step `until`; a bias input is set anew where its frame changes."""
    while done < until:
        span = until - done
        if job["bias_input"]:
            span = _set_bias(network, frames, done, until)
        _run(network, job, span)
        done += span


def _set_bias(network: Any, frames: "np.ndarray[Any, Any]", done: int, until: int) -> int:
    """Present frame `done` as the bias of the first layer; return for how many steps it stays the same."""
    bias = network.neurons[0].bias_mant
    if network.root.runtime is None:
        bias.init = frames[done]
    else:
        bias.set(frames[done])
    span = 1
    while done + span < until and np.array_equal(frames[done + span], frames[done]):
        span += 1
    return span


def _run(network: Any, job: dict[str, Any], steps: int) -> None:
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    models: dict[Any, Any] = {}
    if job["fast"]:
        from lava.proc.conv.process import Conv
        from processes.fast_convolution import FastConvolution

        models[Conv] = FastConvolution
    if job["starts"]:
        from lava.proc.lif.process import LIFReset
        from processes.started_lif import StartedLif

        models[LIFReset] = StartedLif
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
    network.root.run(condition=RunSteps(num_steps=steps), run_cfg=config)


def _watch_actors(network: Any, finished: threading.Event) -> None:
    """End everything when a process model raises: Lava itself would wait for its other processes for ever."""
    while not finished.wait(POLL_S):
        runtime = network.root.runtime
        for actor in list(runtime._messaging_infrastructure.actors) if runtime else []:
            try:
                failure = actor.exception
            except (EOFError, OSError, ValueError):  # this actor was joined meanwhile
                failure = None
            if failure:
                sys.stderr.write(failure[1])
                sys.stderr.flush()
                os._exit(1)  # neurokd ends the group


def _watch_parent() -> None:
    """End this script and all of Lava's processes when neurokd is gone, however it ended."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(POLL_S)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)  # which lets the tracker of shared memory tidy up
    os._exit(1)


def main() -> None:
    """Run every job of the file named on the command line, one after the other."""
    sys.path.append(str(Path(__file__).parent))  # for `processes`; last, to shadow nothing
    threading.Thread(target=_watch_parent, daemon=True).start()
    try:
        for job in json.loads(Path(sys.argv[1]).read_text()):
            run_job(job)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # at a normal end Python would wait for Lava's processes


if __name__ == "__main__":
    main()
