"""The stock LIF that is reset for every sample, with a membrane to start from and, where asked for, a soft reset."""

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.lif.models import PyLifResetModelBitAcc


class StartedLif(PyLifResetModelBitAcc):
    """Reads two parameters beside the stock ones: "initial", 0-d or `[C]`, and "soft".

    What lies between, decays, wrap, bias and clipping, is Lava's own code.
    """

    u: Any
    v: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.initial, self.soft = np.asarray(proc_params["initial"]), bool(proc_params["soft"])

    def subthr_dynamics(self, activation_in: "npt.NDArray[np.int32]") -> None:
        """Start a sample, whose u and v the stock model has just cleared, at the initial membrane."""
        if self.time_step % self.reset_interval == self.reset_offset:
            self.v[:] = self.initial  # channels are Lava's last axis
        super().subthr_dynamics(activation_in)

    def spiking_activation(self) -> Any:
        """A soft reset spikes at the threshold, a hard one above it."""
        return self.v >= self.effective_vth if self.soft else super().spiking_activation()

    def reset_voltage(self, spike_vector: Any) -> None:
        """A soft reset subtracts the threshold."""
        if self.soft:
            self.v[:] = self.v - self.effective_vth * spike_vector
        else:
            super().reset_voltage(spike_vector)
