"""Plain torch ANNs."""

from neurokd.models.build import MODELS, build_model

__all__ = ["MODELS", "build_model"]
