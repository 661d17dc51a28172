"""Kernels that are right pass, every other one fails and is named."""

import math
import sys
from unittest import mock

import numpy as np

from mvar_golden import (
    ArrayKind, Bar, GoldenError, GoldenMismatch, NotSupported, Verdict,
    assert_close, check, make_case, write_golden)
from mvar_golden.random_numbers import TOKEN, uniform
from mvar_golden.safetensors import bfloat16_bits

from .support import KERNELS, FolderTestCase, largest, scaled, split


class DetachedArray:
    """An array as PyTorch has it."""

    dtype = "torch.float32"

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array


class ExchangedArray:
    """An array that is only exchanged by DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def faulty(fault):
    """The kernel ``scaled`` whose results go through a function."""

    def kernel(inputs, attributes, grad_outputs):
        output, gradients = scaled(inputs, attributes, grad_outputs)
        return fault(output, gradients)

    return kernel


class KernelTests(FolderTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.file = self.golden()

    def rows(self, kernel, operator="scaled", **options):
        return check(kernel, operator, file=self.file, **options)

    def wrong(self, kernel, operator="scaled", **options):
        return [row for row in self.rows(kernel, operator, **options)
                if row.verdict is Verdict.FAILED]

    def test_right_kernels(self) -> None:
        for name, kernel in KERNELS.items():
            self.assertTrue(all(row.passes for row in
                                self.rows(kernel, name)))
        self.assertEqual(len(check(KERNELS, file=self.file)), 3 + 3 + 3 + 1)
        assert_close(KERNELS, file=self.file)

    def test_every_way_to_return(self) -> None:
        for result in [
            lambda y, d: (y, d), lambda y, d: ({"output": y}, d),
            lambda y, d: [{"out": y}, d], lambda y, d: ({"y": y}, d),
            lambda y, d: {"out": y, "grad.x": d["x"],
                          "grad.rows": d["rows"]},
            lambda y, d: (y.tolist(), {k: v.tolist() for k, v in d.items()}),
            lambda y, d: (DetachedArray(y), d),
            lambda y, d: (ExchangedArray(y), d),
            lambda y, d: (y.astype(np.longdouble), d),
            lambda y, d: (np.asfortranarray(y), d),
        ]:
            rows = self.rows(faulty(result))
            self.assertEqual([str(row) for row in rows if not row.passes], [])

    def test_planted_faults(self) -> None:
        def changed(y, place, value):
            y = y.copy()
            y.flat[place] = value
            return y

        for tensor, fault in [
            (".out", lambda y, d: (-y, d)), (".out", lambda y, d: (y * 0, d)),
            (".out", lambda y, d: (changed(y, 3, math.nan), d)),
            (".out", lambda y, d: (changed(y, -1, math.inf), d)),
            (".out", lambda y, d: (changed(y, 2, 0.0), d)),
            (".out", lambda y, d: (y.T, d)), (".out", lambda y, d: (y[0], d)),
            (".out", lambda y, d: (np.roll(y, 1), d)),
            (".out", lambda y, d: (y.astype(np.int64), d)),
            (".out", lambda y, d: (y.astype(np.float16), d)),
            (".out", lambda y, d: (y + 1j, d)),
            (".out", lambda y, d: ("text", d)), (".out", lambda y, d:
                                                 (object(), d)),
            (".out", lambda y, d: (None, d)), (".out", lambda y, d: ({}, d)),
            (".out", lambda y, d: ([y, y, y], d)),
            (".grad.x", lambda y, d: (y, {**d, "x": -d["x"]})),
            (".grad.x", lambda y, d: (y, {**d, "x": None})),
            (".grad.x", lambda y, d: (y, {"rows": d["rows"]})),
            (".grad.rows", lambda y, d: (y, {**d, "rows": d["rows"] * 2})),
            (".grad.typo", lambda y, d: (y, {**d, "typo": y})),
        ]:
            wrong = self.wrong(faulty(fault))
            self.assertEqual({row.name[-len(tensor):] for row in wrong},
                             {tensor}, [str(row) for row in wrong])
            self.assertEqual(len(wrong), 2)
        both = self.wrong(faulty(lambda y, d: y))
        self.assertEqual(len(both), 4)
        self.assertIn("no gradient of `rows`", str(both[0]))

    def test_several_outputs(self) -> None:
        def swapped(inputs, attributes, grad_outputs):
            outputs, gradients = split(inputs, attributes, grad_outputs)
            return {"low": outputs["high"], "high": outputs["low"],
                    "middle": outputs["low"]}, gradients

        wrong = self.wrong(swapped, "split")
        self.assertEqual(
            [row.name for row in wrong],
            ["split.out.high", "split.out.low", "split.out.middle"])
        self.assertEqual(wrong[2].cause, "split has no output `middle`")
        alone = self.wrong(lambda x, a, d: split(x, a, None)["low"], "split")
        self.assertEqual(alone[0].cause, "the kernel returned no output "
                         "`high`")

    def test_integers(self) -> None:
        def off(inputs, attributes, grad_outputs):
            tokens = largest(inputs, attributes, grad_outputs)["tokens"]
            tokens[1, 4] += 1
            return tokens

        row, = self.wrong(off, "largest")
        self.assertEqual(row.coordinates, [1, 4])
        floats = self.rows(lambda x, a, d: largest(x, a, d)["tokens"].astype(
            np.float32), "largest")
        self.assertTrue(floats[0].passes)
        flat = self.wrong(lambda x, a, d: largest(x, a, d)["tokens"].ravel(),
                          "largest")
        self.assertIn("shape [10], expected [2, 5]", str(flat[0]))

    def test_codes_at_almost_the_same_distance(self) -> None:
        def nearest(inputs, attributes, grad_outputs):
            apart = inputs["vectors"][:, None] - inputs["codebook"]
            return np.square(apart).sum(axis=-1).argmin(axis=-1)

        codebook = np.array([[0.0, 2.0], [2.0, 0.0], [-1.0, 2.0], [0.0, 2.0]])
        vectors = np.array([[1, 1 + 1e-7], [-0.4, 2], [0, 2]])
        path = self.path("codes.safetensors")
        write_golden(path, [make_case(
            "codes", "nearestCode", nearest,
            {"vectors": vectors, "codebook": codebook},
            {"metric": "euclidean"}, None, lambda values: Bar())])

        def verdict(*codes):
            row, = check(lambda x, a, d: np.array(codes), file=path)
            return row

        self.assertTrue(verdict(0, 0, 0).passes)
        close = verdict(1, 0, 0)
        self.assertTrue(close.passes)
        self.assertIn("1 of 3 differ, each within rounding", close.remarks)
        # Far, out of range, and at exactly the same distance.
        for codes in ((2, 0, 0), (0, 2, 0), (9, 0, 0), (0, 0, 3)):
            self.assertFalse(verdict(*codes).passes)

    def test_tokens_at_the_boundary(self) -> None:
        # Two tokens whose boundary is at the random number: once within the
        # rounding of single precision, once two percent beside it.
        numbers = [uniform(3, 1, TOKEN, 5 + n) for n in range(2)]
        logits = np.array([[[0, math.log(1 / u - 1) + shift]
                            for u, shift in zip(numbers, (0, 0.1))]] * 2)
        logits = np.float32(logits)
        logits[0] = [[2, -np.inf], [2, 0]]

        def sample(inputs, attributes, grad_outputs):
            x = inputs["logits"].astype(float)
            sums = np.exp(x - x.max(axis=-1, keepdims=True)).cumsum(axis=-1)
            r = np.array([[uniform(attributes["seed"], b, TOKEN,
                                   attributes["firstPosition"] + n)
                           for n in range(2)] for b in range(2)])
            return (sums > r[..., None] * sums[..., -1:]).argmax(axis=-1)

        path = self.path("tokens.safetensors")
        write_golden(path, [make_case(
            "tokens", "sampleTokens", sample, {"logits": logits},
            {"seed": 3, "firstPosition": 5}, None, lambda values: Bar())])
        right = sample({"logits": logits}, {"seed": 3, "firstPosition": 5}, 0)

        def verdict(*changes):
            tokens = right.copy()
            for row, position, token in changes:
                tokens[row, position] = token
            row, = check(lambda x, a, d: tokens, file=path)
            return row

        self.assertTrue(verdict().passes)
        close = verdict((1, 0, 1 - right[1, 0]))
        self.assertTrue(close.passes)
        self.assertIn("1 of 4 differ, each within rounding", close.remarks)
        # Far, out of range, and a token of probability zero.
        for change in ((1, 1, 1 - right[1, 1]), (1, 0, 2), (1, 0, -1),
                       (0, 0, 1)):
            self.assertFalse(verdict(change).passes, change)

    def test_random_numbers(self) -> None:
        # Those that the description of the format lists.
        self.assertEqual(
            [uniform(0, 0, 2, index) for index in range(3)],
            [0.3476322189671919, 0.025389417191036046, 0.6686388835078105])

    def test_kernels_that_stop(self) -> None:
        def crash(inputs, attributes, grad_outputs):
            return inputs["y"]

        def leave(inputs, attributes, grad_outputs):
            sys.exit(3)

        wrong = self.wrong(crash)
        self.assertEqual([row.name for row in wrong],
                         ["scaled [3, 4]", "scaled by 2.7"])
        self.assertRegex(
            str(wrong[0]), r"raised KeyError: 'y' in test_kernels.py:\d+")
        self.assertEqual(len(self.wrong(leave)), 2)
        self.assertEqual(len(self.wrong(lambda x: x)), 2)

    def test_not_supported(self) -> None:
        def some(inputs, attributes, grad_outputs):
            if attributes["alpha"] > 2:
                raise NotSupported("only alpha up to 2")
            return scaled(inputs, attributes, grad_outputs)

        rows = self.rows(some)
        self.assertEqual(rows[-1].verdict, Verdict.NOT_SUPPORTED)
        self.assertEqual(str(rows[-1]), "scaled by 2.7: not supported: "
                         "only alpha up to 2")
        assert_close(some, "scaled", file=self.file)
        with self.assertRaises(GoldenMismatch):
            assert_close({}, file=self.file)

    def test_forward_only(self) -> None:
        given = []

        def forward(inputs, attributes, grad_outputs):
            given.append(grad_outputs)
            return scaled(inputs, attributes, None)

        rows = self.rows(forward, forward_only=True)
        self.assertEqual(given, [None, None])
        self.assertEqual(
            [row.verdict.value for row in rows],
            ["passed", "notInFile", "notInFile"] * 2)

    def test_other_bars(self) -> None:
        rough = faulty(lambda y, d: (y * 1.001, d))
        self.assertEqual(len(self.wrong(rough)), 2)
        rows = self.rows(rough, rtol=0.01)
        self.assertTrue(all(row.passes for row in rows))
        self.assertEqual(
            rows[0].bar.limit, "0.01·|expected|")
        self.assertRegex(
            rows[0].bar.reason, r"^set by the user, instead of \S+ \+ "
            r"9\.54e-07·\|expected\| \(a few roundings\)$")
        # Equality, which single precision cannot reach.
        self.assertEqual(len(self.wrong(scaled, atol=0)), 6)
        for limit in (-1, math.nan, math.inf):
            with self.assertRaisesRegex(GoldenError, "is no limit"):
                self.rows(scaled, rtol=limit)

    def test_only(self) -> None:
        rows = self.rows(scaled, only=r"2\.7.*grad\.x$")
        self.assertEqual([row.name for row in rows], ["scaled by 2.7.grad.x"])
        with self.assertRaisesRegex(GoldenError, "no tensor's name"):
            self.rows(scaled, only="nothing")
        with self.assertRaisesRegex(GoldenError, "no regular expression"):
            self.rows(scaled, only="(")

    def test_a_kernel_may_change_its_inputs(self) -> None:
        def in_place(inputs, attributes, grad_outputs):
            result = scaled(inputs, attributes, grad_outputs)
            for array in (*inputs.values(), *grad_outputs.values()):
                array *= 0
            attributes.clear()
            return result

        for _ in range(2):
            self.assertEqual(self.wrong(in_place), [])

    def test_mismatch_lists_the_tensors(self) -> None:
        with self.assertRaises(GoldenMismatch) as raised:
            assert_close(faulty(lambda y, d: (-y, d)), "scaled",
                         file=self.file)
        error = raised.exception
        self.assertIsInstance(error, AssertionError)
        self.assertEqual(len(error.rows), 2)
        lines = str(error).split("\n")
        self.assertEqual(lines[0], "2 of 6 tensors differ:")
        self.assertRegex(
            lines[1], r"^  scaled \[3, 4\]\.out: at \[\d, \d\]: .*, expected "
            r".* of the bar; 12 of 12 outside it; bar .*: a few roundings$")


class ArrayTests(FolderTestCase):

    def test_bfloat16_without_a_type(self) -> None:
        file = self.golden("bfloat16")
        for form, received in (("float32", np.float32), ("bits", np.uint16)):
            seen = []

            def kernel(inputs, attributes, grad_outputs):
                seen.append(inputs["x"].dtype.type)
                if received is np.float32:
                    return scaled(inputs, attributes, grad_outputs)
                wide = [{key: (bits.astype(np.uint32) << 16).view(np.float32)
                         for key, bits in group.items()}
                        for group in (inputs, grad_outputs)]
                output, gradients = scaled(wide[0], attributes, wide[1])
                return bfloat16_bits(output), {
                    key: bfloat16_bits(value)
                    for key, value in gradients.items()}

            assert_close(kernel, "scaled", "bfloat16", file,
                         arrays=ArrayKind(bfloat16=form))
            self.assertEqual(set(seen), {received})

    def test_integers_in_a_file_for_bfloat16(self) -> None:
        def tokens(inputs, attributes, grad_outputs):
            found = largest(inputs, attributes, grad_outputs)["tokens"]
            return found.astype(np.uint16)

        assert_close(tokens, "largest", "bfloat16", self.golden("bfloat16"))

    def test_unknown_kinds(self) -> None:
        with self.assertRaisesRegex(GoldenError, "no arrays of 'tensorflow'"):
            ArrayKind("tensorflow")
        with self.assertRaisesRegex(GoldenError, "held as 'int'"):
            ArrayKind(bfloat16="int")

    def test_frameworks_that_are_there(self) -> None:
        for framework in ("torch", "jax"):
            try:
                __import__(framework)
            except ImportError:
                continue
            for dtype in ("float32", "bfloat16", "float16"):
                seen = []

                def kernel(inputs, attributes, grad_outputs):
                    seen.append(str(inputs["x"].dtype).split(".")[-1])
                    return scaled(inputs, attributes, grad_outputs)

                assert_close(kernel, "scaled", dtype, self.golden(dtype),
                             arrays=framework)
                self.assertEqual(set(seen), {dtype})

    def test_ml_dtypes(self) -> None:
        try:
            import ml_dtypes
        except ImportError:
            self.skipTest("ml_dtypes is not installed")
        seen = []

        def kernel(inputs, attributes, grad_outputs):
            seen.append(inputs["x"].dtype)
            return scaled(inputs, attributes, grad_outputs)

        assert_close(kernel, "scaled", "bfloat16", self.golden("bfloat16"),
                     arrays=ArrayKind(bfloat16="ml_dtypes"))
        self.assertEqual(set(seen), {np.dtype(ml_dtypes.bfloat16)})


class MissingFrameworkTests(FolderTestCase):

    def test_a_framework_that_is_missing(self) -> None:
        with mock.patch.dict(sys.modules, {"torch": None}):
            rows = check(scaled, "scaled", file=self.golden(),
                         arrays="torch")
        self.assertEqual({row.verdict for row in rows}, {Verdict.NOT_JUDGED})
        self.assertIn("torch is not installed", str(rows[0]))
