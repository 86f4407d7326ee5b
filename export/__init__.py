"""From a trained torch model to an integer network in a verified file.

    torch model -> `lower` -> NIR graph -> `passes` -> `quantization` -> `network` -> `network_files`, `onnx_graphs`

`bundle` walks this way for a run, `bundle_nir` for a NIR file. `contract` says beforehand what a target can run,
`proof` afterwards whether anything was lost, and `qat` trains in the integers themselves.
"""
