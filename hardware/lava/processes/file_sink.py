"""Write what a port sends, step by step, into a .npy file: a copy in memory instead of one message per element."""

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class FileSink(AbstractProcess):
    """Records the spikes that arrive at `a_in` in `path`, uint8 `[steps, *shape]`."""

    def __init__(self, *, shape: tuple[int, ...], path: str, steps: int) -> None:
        super().__init__(shape=shape, path=path, steps=steps)
        self.a_in = InPort(shape=shape)
        np.save(path, np.zeros((steps, *shape), dtype=np.uint8))


@implements(proc=FileSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFileSink(PyLoihiProcessModel):
    """Copies one frame per step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    _frames: "npt.NDArray[np.uint8] | None" = None

    def run_spk(self) -> None:
        """Store the frame of this step; Lava counts steps from 1."""
        frame = self.a_in.recv()
        if self._frames is None:
            self._frames = np.load(self.proc_params["path"], mmap_mode="r+")
        self._frames[self.time_step - 1] = frame
