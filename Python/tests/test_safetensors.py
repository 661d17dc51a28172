"""safetensors files: what is written is read, what is wrong is refused."""

import json
import os
import random

import numpy as np

from mvar_golden import (
    GoldenError, StoredTensor, read_safetensors, write_safetensors)
from mvar_golden.safetensors import (
    bfloat16_bits, parse_safetensors, safetensors_bytes)

from .support import AUTHORS, FolderTestCase


def file_of(header, data=b""):
    """A file's bytes from a header of any kind."""
    text = header if isinstance(header, bytes) else json.dumps(
        header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    """A tensor in a header."""
    return {"dtype": dtype, "shape": list(shape),
            "data_offsets": list(offsets), **more}


class SafetensorsTests(FolderTestCase):

    def test_what_is_written_is_read(self) -> None:
        tensors = {
            "f64": np.array([[1.5, -2.5]]), "f32": np.float32([1, 2, 3]),
            "f16": np.float16([0.5]), "i64": np.array([1, -2]),
            "i32": np.int32([[7]]), "u8": np.uint8([0, 255]),
            "yes": np.array([True, False]), "number": np.float32(3),
            "empty": np.zeros((0, 3)), "ümlaut \" name": np.int8([-1]),
            "bf16": StoredTensor.of([1.0, -0.5, 3e38], "BF16"),
            "order": np.arange(6.0).reshape(2, 3).T,
            "big endian": np.array([1.0, 2.0], dtype=">f4"),
        }
        path = self.path("a.safetensors")
        write_safetensors(path, tensors, {"kind": "ops", "text": "ä\n"})
        file = read_safetensors(path)
        self.assertEqual(file.metadata, {"kind": "ops", "text": "ä\n"})
        self.assertEqual(list(file.tensors), list(tensors))
        for name, values in tensors.items():
            stored = file.tensors[name]
            expected = (values.array() if isinstance(values, StoredTensor)
                        else np.asarray(values))
            np.testing.assert_array_equal(stored.array(), expected)
        self.assertEqual(file.tensors["bf16"].array()[1], -0.5)
        self.assertEqual(os.listdir(self.folder), ["a.safetensors"])

    def test_a_file_of_the_authors(self) -> None:
        file = read_safetensors(AUTHORS)
        self.assertEqual(file.metadata["kind"], "ops")
        self.assertGreater(len(file.tensors), 100)

    def test_rounding_to_bfloat16(self) -> None:
        ulp = 2.0**-7
        for value, expected in [
            (1, 1), (1 + ulp / 2, 1), (1 + 1.5 * ulp, 1 + 2 * ulp),
            # A single-precision step would round this to a tie first.
            (1 + ulp / 2 + 2.0**-40, 1 + ulp),
            (1 + 1.5 * ulp - 2.0**-40, 1 + ulp), (-1 - ulp / 2, -1),
            (3.4e38, np.inf), (-1e300, -np.inf), (np.inf, np.inf),
            (1e-50, 0), (-0.0, -0.0), (2.0**-133, 2.0**-133),
        ]:
            stored = StoredTensor.of(value, "BF16")
            self.assertEqual(stored.array(), expected, value)
        self.assertTrue(np.isnan(StoredTensor.of(np.nan, "BF16").array()))
        every = np.arange(65536, dtype=np.uint16)
        floats = StoredTensor("BF16", every).array()
        kept = ~np.isnan(floats)
        np.testing.assert_array_equal(
            bfloat16_bits(floats)[kept], every[kept])

    def test_what_is_refused(self) -> None:
        two = b"\0" * 8
        for content, sentence in [
            (b"", "too few"), (b"\1\2", "too few"),
            ((1 << 60).to_bytes(8, "little"), "at most 100000000"),
            ((50).to_bytes(8, "little") + b"{}", "truncated"),
            (file_of(b"[1]"), "not a JSON object"),
            (file_of(b"{"), "not valid JSON"),
            (file_of(b"\xff\xfe"), "not valid UTF-8"),
            (file_of(b'{"a":NaN}'), "not valid JSON"),
            (file_of(b"[" * 100000), "safetensors header"),
            (file_of(b'{"__metadata__":{"a":"b","a":"c"}}'), "twice"),
            (file_of(b'{"a":1,"a":1}'), "twice"),
            (file_of({"__metadata__": []}), "metadata are not"),
            (file_of({"__metadata__": {"a": 1}}), "are not text"),
            (file_of({"a": []}, two), "not a JSON object"),
            (file_of({"a": {"dtype": "F32"}}, two), "shape is not an array"),
            (file_of({"a": entry(dtype="C64")}, two), "not supported"),
            (file_of({"a": entry(dtype=7)}, two), "lacks dtype"),
            (file_of({"a": entry(more=1)}, two), "unexpected"),
            (file_of({"a": entry(shape=(-2,))}, two), "from 0 up"),
            (file_of({"a": entry(shape=(2.0,))}, two), "from 0 up"),
            (file_of({"a": entry(shape=(True,))}, two), "from 0 up"),
            (file_of({"a": entry(shape=(3,))}, two), "takes 12 bytes"),
            (file_of({"a": entry(shape=(1 << 40, 1 << 40))}, two), "takes"),
            (file_of({"a": entry(offsets=(0, 8, 9))}, two), "lacks"),
            (file_of({"a": entry(offsets=(0, 9))}, two), "of only 8"),
            (file_of({"a": entry(offsets=(8, 0))}, two), "lie at bytes"),
            (file_of({"a": entry(), "b": entry(offsets=(4, 12))},
                     b"\0" * 12), "overlap"),
            (file_of({"a": entry(), "b": entry()}, two), "overlap"),
            (file_of({"a": entry(offsets=(4, 12))}, b"\0" * 12), "hole"),
            (file_of({"a": entry()}, b"\0" * 9), "its tensors take 8"),
            (file_of({"a": entry(shape=(0,) * 100, offsets=(0, 0))}),
             "not possible"),
        ]:
            with self.subTest(sentence=sentence, content=content[:60]):
                with self.assertRaises(GoldenError) as raised:
                    parse_safetensors(content)
                text = str(raised.exception)
                self.assertIn(sentence, text)
                self.assertNotIn("\n", text)

    def test_files_that_cannot_be_read(self) -> None:
        for path in (self.path("none"), self.folder):
            with self.assertRaisesRegex(GoldenError, "cannot be read"):
                read_safetensors(path)
        with self.assertRaisesRegex(GoldenError, "cannot be written"):
            write_safetensors(self.path("none/a"), {})

    def test_mutations_never_raise_anything_else(self) -> None:
        content = safetensors_bytes(
            {"a": np.arange(4.0), "b": np.arange(3)}, {"kind": "ops"})
        generator = random.Random(5)
        for _ in range(3000):
            mutant = bytearray(content)
            for _ in range(generator.randint(1, 4)):
                place = generator.randrange(len(mutant))
                mutant[place] = generator.randrange(256)
            if generator.random() < 0.3:
                del mutant[generator.randrange(len(mutant)):]
            try:
                parse_safetensors(bytes(mutant))
            except GoldenError:
                pass

    def test_arrays_that_cannot_be_stored(self) -> None:
        for values in (np.array(["a"]), np.array([1j]), np.array([None])):
            with self.assertRaisesRegex(GoldenError, "cannot be stored"):
                StoredTensor.of(values)
        with self.assertRaisesRegex(GoldenError, "not supported"):
            StoredTensor.of([1.0], "F8_E4M3")
