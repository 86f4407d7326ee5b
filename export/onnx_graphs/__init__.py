"""The integers, and float networks, as ONNX graphs."""
