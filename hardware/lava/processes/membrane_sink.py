"""Write a population's membrane after every step into a .npy file."""

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class MembraneSink(AbstractProcess):
    """Records the variable `target` of another process in `path`, int32 `[steps, *shape]`."""

    def __init__(self, *, target: Any, path: str, steps: int) -> None:
        super().__init__(path=path, steps=steps)
        self.target = RefPort(shape=target.shape)
        self.target.connect_var(target)
        np.save(path, np.zeros((steps, *target.shape), dtype=np.int32))


@implements(proc=MembraneSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMembraneSink(PyLoihiProcessModel):
    """Reads in the phase after the spikes, when the step's membrane is final."""

    target: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, int)
    _frames: "npt.NDArray[np.int32] | None" = None

    def post_guard(self) -> bool:
        """Ask for that phase at every step."""
        return True

    def run_post_mgmt(self) -> None:
        """Store the membrane of this step; Lava counts steps from 1."""
        if self._frames is None:
            self._frames = np.load(self.proc_params["path"], mmap_mode="r+")
        self._frames[self.time_step - 1] = self.target.read()
