"""Golden files of both formats."""

import json

import numpy as np

from mvar_golden import (
    GoldenError, GoldenFile, StoredTensor, Verdict, cases, check,
    read_safetensors, write_safetensors)

from .support import AUTHORS, KERNELS, FolderTestCase, scaled


class GoldenFileTests(FolderTestCase):

    def test_format_2(self) -> None:
        path = self.golden("float32")
        golden = GoldenFile(path)
        self.assertEqual((golden.format, golden.dtype), ("2", "float32"))
        self.assertEqual(golden.operators, ["largest", "scaled", "split"])
        found = {case.name: case for case in golden.cases()}
        self.assertEqual(len(found), 4)
        case = found["scaled by 2.7"]
        self.assertEqual(case.attributes, {"alpha": 2.7})
        self.assertEqual(list(case.inputs), ["x", "rows"])
        self.assertEqual(case.inputs["x"].dtype, "F32")
        self.assertEqual(case.outputs[""].tensor.dtype, "F64")
        self.assertEqual(
            case.gradients["rows"].name, "scaled by 2.7.grad.rows")
        self.assertEqual(set(found["split"].outputs), {"low", "high"})
        self.assertFalse(found["largest"].has_backward)
        self.assertTrue(found["largest"].outputs[""].tensor.is_integer)
        self.assertEqual(len(cases(path, "scaled", "float32")), 2)

    def test_every_dtype(self) -> None:
        for dtype, stored in {"float64": "F64", "tf32": "F32",
                              "bfloat16": "BF16", "float16": "F16"}.items():
            path = self.golden(dtype)
            case = cases(path, "scaled", dtype)[0]
            self.assertEqual(case.inputs["x"].dtype, stored)
            rows = check(KERNELS, None, dtype, path)
            self.assertEqual({row.verdict for row in rows}, {Verdict.PASSED})

    def test_numpy_archives(self) -> None:
        file = read_safetensors(self.golden())
        metadata = np.frombuffer(
            json.dumps(file.metadata).encode(), dtype=np.uint8)
        path = self.path("golden.npz")
        np.savez(path, __metadata__=metadata, **{
            name: tensor.array() for name, tensor in file.tensors.items()})
        rows = check(KERNELS, file=path)
        self.assertTrue(rows and all(row.passes for row in rows))
        self.write("text.npz", "no archive")
        with self.assertRaisesRegex(GoldenError, "cannot be read"):
            cases(self.path("text.npz"))

    def test_format_1(self) -> None:
        golden = GoldenFile(AUTHORS)
        self.assertEqual(golden.format, "1")
        found = {case.name: case for case in golden.cases()}
        self.assertEqual(
            [name for name, case in found.items() if case.problem], [])
        attention = found["window_attention_8_5"]
        self.assertEqual(attention.operator, "neighborhoodAttention")
        self.assertEqual(attention.attributes["window"], 5)
        self.assertEqual(
            sorted(attention.gradients), ["keys", "queries", "values"])
        self.assertEqual(
            attention.gradients["keys"].name, "window_attention_8_5.grad.k")
        self.assertEqual(found["area_13_5"].attributes,
                         {"height": 5, "width": 5})

    def test_format_1_scales_inputs_first(self) -> None:
        x = np.float32([1, 2])
        path = self.path("a.safetensors")
        write_safetensors(
            path, {"silu.in.x": x, "silu.out": x * 3,
                   "silu.grad_out": x, "silu.grad.x": x * 3},
            {"kind": "ops", "ops": '{"silu": {"pre_scale": 3}}'})

        def identity(inputs, attributes, grad_outputs):
            return inputs["x"], {"x": grad_outputs["output"]}

        rows = check(identity, "silu", file=path)
        self.assertEqual([row.passes for row in rows], [True, True])

    def test_files_that_are_none(self) -> None:
        good = read_safetensors(self.golden())
        path = self.path("bad.safetensors")
        for changes, sentence in [
            ({"kind": None}, "no golden file"), ({"kind": "mvar"}, "model's"),
            ({"format": "3"}, "format '3'"), ({"dtype": "int4"}, "int4"),
            ({"ops": None}, "no metadata `ops`"), ({"ops": "{"}, "JSON"),
            ({"ops": "[]"}, "not a JSON object"),
            ({"ops": '{"a":1,"a":2}'}, "twice"), ({"ops": "{}"}, "no case"),
        ]:
            metadata = {key: value for key, value in
                        {**good.metadata, **changes}.items()
                        if value is not None}
            write_safetensors(path, good.tensors, metadata)
            with self.assertRaisesRegex(GoldenError, sentence) as raised:
                cases(path)
            self.assertTrue(str(raised.exception).startswith(path))

    def test_arguments(self) -> None:
        path = self.golden()
        with self.assertRaisesRegex(GoldenError, "is for float32, not bfl"):
            cases(path, dtype="bfloat16")
        with self.assertRaisesRegex(
                GoldenError, "no case of sclaed; its operators are: largest"):
            cases(path, "sclaed")
        with self.assertRaisesRegex(GoldenError, "dtype 'int' is unknown"):
            cases(dtype="int")

    def test_a_broken_case_leaves_the_others(self) -> None:
        def without(name):
            def change(tensors, ops):
                del tensors[name]
            return change

        def replaced(name, values):
            def change(tensors, ops):
                tensors[name] = StoredTensor.of(values)
            return change

        def entry(value):
            def change(tensors, ops):
                ops["scaled [3, 4]"] = value
            return change

        def bars(value):
            def change(tensors, ops):
                ops["scaled [3, 4]"]["bars"] = value
            return change

        name = "scaled [3, 4]"
        for change, sentence in [
            (without(f"{name}.out"), "no tensor scaled [3, 4].out"),
            (without(f"{name}.grad_out"), "no tensor scaled [3, 4].grad_out"),
            (without(f"{name}.grad.x"), "no tensor scaled [3, 4].grad.x"),
            (replaced(f"{name}.grad_out.y", np.zeros(3)), "does not fit"),
            (replaced(f"{name}.grad_out", np.zeros(3)), "has shape [3]"),
            (entry([]), "is no dictionary"), (entry({}), "no `operator`"),
            (entry({"operator": "scaled", "attributes": []}), "no dictionary"),
            (entry({"operator": "scaled", "bar": {}}), "unknown member `bar`"),
            (bars({}), "states no bar"), (bars({"out": 3}), "is none"),
            (bars({"out": {"absolute": "wide"}}), "is none"),
            (bars({"out": {"absolute": True}}), "is none"),
            (bars({"out": {"absolute": -1}}), "is none"),
            (bars({"out": {"absolute": "inf"}}), "is no limit"),
        ]:
            file = read_safetensors(self.golden())
            tensors, ops = dict(file.tensors), json.loads(
                file.metadata["ops"])
            change(tensors, ops)
            path = self.path("bad.safetensors")
            write_safetensors(path, tensors, {
                **file.metadata, "ops": json.dumps(ops)})
            with self.subTest(sentence):
                rows = check(KERNELS, file=path)
                wrong = [row for row in rows if not row.passes]
                self.assertTrue(wrong)
                self.assertTrue(all(
                    row.name.startswith(name) and
                    row.verdict is Verdict.NOT_JUDGED for row in wrong))
                self.assertIn(sentence, str(wrong[0]))
                self.assertGreaterEqual(len(rows), 8)

    def test_missing_gradients(self) -> None:
        file = read_safetensors(self.golden())
        tensors = dict(file.tensors)
        del tensors["scaled by 2.7.grad.rows"]
        for name in ("grad_out", "grad.x", "grad.rows"):
            del tensors[f"scaled [3, 4].{name}"]
        path = self.path("less.safetensors")
        write_safetensors(path, tensors, file.metadata)

        def kernel(inputs, attributes, grad_outputs):
            return scaled(inputs, attributes, grad_outputs)

        rows = {row.name: row.verdict for row in check(
            kernel, "scaled", file=path)}
        self.assertEqual(rows, {
            "scaled [3, 4].out": Verdict.PASSED,
            "scaled by 2.7.out": Verdict.PASSED,
            "scaled by 2.7.grad.x": Verdict.PASSED,
            "scaled by 2.7.grad.rows": Verdict.NOT_JUDGED})

    def test_format_1_without_gradients(self) -> None:
        x = np.float32([1, 2])
        path = self.path("a.safetensors")
        write_safetensors(path, {"silu.in.x": x, "silu.out": x},
                          {"kind": "ops", "ops": '{"silu": {}}'})
        rows = check(lambda x, a, d: x["x"], file=path)
        self.assertEqual([row.verdict.value for row in rows],
                         ["passed", "notInFile"])

    def test_inputs_are_numbers_of_the_type(self) -> None:
        for dtype, value in (("bfloat16", 1.001), ("tf32", 1 + 2.0**-12),
                             ("float16", 1e5), ("float32", 1 + 2.0**-40)):
            file = read_safetensors(self.golden(dtype))
            tensors = dict(file.tensors)
            numbers = tensors["split.in.x"].numbers()
            # Stored wider, as in NumPy's files.
            tensors["split.in.x"] = StoredTensor.of(numbers)
            path = self.path("wide.safetensors")
            write_safetensors(path, tensors, file.metadata)
            self.assertTrue(all(row.passes for row in check(
                KERNELS, "split", dtype, path)))
            numbers[0, 0] = value
            tensors["split.in.x"] = StoredTensor.of(numbers)
            write_safetensors(path, tensors, file.metadata)
            row, = check(KERNELS, "split", dtype, path)
            self.assertEqual(row.verdict, Verdict.NOT_JUDGED)
            self.assertEqual(
                row.cause, f"split.in.x holds {value}, which is no number of "
                f"the type {dtype}")

    def test_bars_by_whole_names(self) -> None:
        file = read_safetensors(self.golden())
        path = self.path("bars.safetensors")
        write_safetensors(path, file.tensors, {
            **file.metadata, "bars": '{"split.out.low": {"absolute": 3}}'})
        rows = {row.name: row.bar for row in check(
            KERNELS, "split", file=path)}
        self.assertEqual(
            str(rows["split.out.low"]),
            "3: stated by the file, without a reason")
        self.assertEqual(rows["split.out.high"].reason, "a few roundings")
