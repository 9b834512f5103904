#!/usr/bin/env python3
"""Packs a selection of ONNX's own tests of single operators into one archive.

    python3 pack.py [FOLDER]        # writes cases.tar.gz beside this file; with FOLDER, all of ONNX's cases into folders there, too

Needs onnx. A case is NAME/model.onnx and NAME/test_data_set_0/{input,output}_N.pb, as ONNX's older packages had them. Left out are
operators and types that networks for images, audio and text hardly use, cases in which a function is written out as other operators,
what drops at random in training, and large ones.
"""

import gzip
import io
import sys
import tarfile
from pathlib import Path

import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

# The most bytes of a case before it is compressed.
LARGEST = 20_000

# Types of elements that no network for images, audio or text computes with here: text, complex numbers, fewer than 8 bits, floats of 8.
FOREIGN_TYPES = {
    number
    for name, number in onnx.TensorProto.DataType.items()
    if name in ("STRING", "COMPLEX64", "COMPLEX128") or name.endswith(("INT2", "INT4")) or name.startswith(("FLOAT4", "FLOAT8"))
}

OPERATORS = set(
    """
    Conv ConvTranspose Gemm MatMul Einsum
    MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool
    BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization LpNormalization LRN
    MeanVarianceNormalization
    Relu LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Shrink Sigmoid HardSigmoid HardSwish Swish Softplus Softsign Mish Gelu Tanh
    Softmax LogSoftmax Hardmax Clip
    Add Sub Mul Div Pow Mod Sum Max Min Mean And Or Xor Not Equal Greater GreaterOrEqual Less LessOrEqual Where Abs Neg Sign Exp Log
    Sqrt Reciprocal Floor Ceil Round Erf Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh IsNaN IsInf Cast CastLike Identity
    Dropout
    Reshape Flatten Squeeze Unsqueeze Transpose Expand Tile Concat Split Slice Gather GatherElements GatherND ScatterElements ScatterND
    Pad DepthToSpace SpaceToDepth Resize Upsample Shape Size Constant ConstantOfShape Range EyeLike Trilu OneHot ArgMax ArgMin TopK
    CumSum NonZero
    ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare
    LSTM GRU RNN Attention RotaryEmbedding
    QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger
    If
    """.split()
)


def files(case) -> dict[str, bytes]:
    """The files of a case, by their names in its folder."""
    found = {"model.onnx": case.model.SerializeToString(deterministic=True)}
    inputs, outputs = case.data_sets[0]
    for kind, values in (("input", inputs), ("output", outputs)):
        for index, value in enumerate(values):
            if not isinstance(value, onnx.TensorProto):
                value = numpy_helper.from_array(value)
            found[f"test_data_set_0/{kind}_{index}.pb"] = value.SerializeToString(deterministic=True)
    return found


def is_selected(case) -> bool:
    operators = {(node.domain, node.op_type) for node in case.model.graph.node}
    values = [*case.model.graph.input, *case.model.graph.output]
    types = {value.type.tensor_type.elem_type for value in values}
    is_left_out = "_expanded" in case.name or case.name.startswith("test_training_") or types & FOREIGN_TYPES
    return not is_left_out and all(domain == "" and name in OPERATORS for domain, name in operators)


def main() -> None:
    everything = {}
    selected = {}
    for case in sorted(collect_testcases(None), key=lambda case: case.name):
        name = case.name.removeprefix("test_")
        try:
            everything[name] = files(case)
        except (TypeError, AttributeError, NotImplementedError, ValueError) as error:
            # Sequences and missing values are no tensors, and no input of what is tested here.
            print(f"{name} has a value that is no tensor: {error}", file=sys.stderr)
            continue
        if is_selected(case) and sum(map(len, everything[name].values())) <= LARGEST:
            selected[name] = everything[name]
    if len(sys.argv) > 1:
        for name, contents in everything.items():
            for path, content in contents.items():
                path = Path(sys.argv[1], name, path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, contents in selected.items():
            for path, content in contents.items():
                entry = tarfile.TarInfo(f"{name}/{path}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    packed = gzip.compress(tar.getvalue(), compresslevel=9, mtime=0)
    Path(__file__).with_name("cases.tar.gz").write_bytes(packed)
    print(f"onnx {onnx.__version__}: {len(selected)} of {len(everything)} cases, {len(packed)} bytes")


if __name__ == "__main__":
    main()
