"""Functions of tensors from models that were exported to OpenVINO and ONNX Runtime."""
from pathlib import Path

import torch


def openvino_function(path, precision, threads):
    """Runs an exported model in `f32` or `bf16`."""
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()

    def run(*tensors):
        result = request.infer([t.numpy() for t in tensors], share_inputs=True)[0]
        return torch.from_numpy(result.copy())  # the next call overwrites it

    return run


def onnx_function(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return lambda *tensors: torch.from_numpy(session.run(None, {n: t.numpy() for n, t in zip(names, tensors)})[0])


def with_mask(core):
    """A core that was exported with a mask, for scales without one as well: they get zeros."""
    zeros = {}

    def run(x, six, two, mask):
        tokens = x.shape[1]
        if mask is None:
            mask = zeros.setdefault(tokens, torch.zeros(tokens, tokens))
        return core(x.contiguous(), six, two, mask)

    return run


def openvino_models(folder, precision, threads):
    """-> core, decoder; each is compiled when it is first called."""
    folder = Path(folder)
    return (lambda: with_mask(openvino_function(folder / "core.xml", precision, threads)),
            lambda: openvino_function(folder / "decoder.xml", precision, threads))


def onnx_models(folder, name, threads):
    folder = Path(folder)
    return (lambda: with_mask(onnx_function(folder / f"{name}.onnx", threads)),
            lambda: onnx_function(folder / "decoder.onnx", threads))
