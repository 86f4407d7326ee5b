"""neurokd: from an ANN to a verified low-latency spiking network on Loihi-style hardware."""

__version__ = "0.1.0"
