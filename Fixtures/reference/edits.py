"""How far an edit moves pixels outside its mask, by the threshold of tokens that are drawn anew: eight held-out emoji.

    python edits.py MVAR [OPTION ...]      the program, and options of `mvar edit` such as --model and --tokenizer

Peak signal-to-noise ratios of the mean squared error over 8 images x 8 candidates, between what was drawn and the
reconstruction, outside and inside the mask.
"""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "emoji"
CLASSES = ("face", "person", "animal", "plant", "fruit", "vehicle", "clock", "flag")
THRESHOLDS = (0.01, 0.5, 0.51, 0.75, 1)


def masks():
    """Left half, right half, lower half, middle square, disk: 64 x 64, true where pixels are drawn anew."""
    y, x = np.mgrid[:64, :64]
    return [x < 32, x >= 32, y >= 32, (abs(x - 31.5) < 16) & (abs(y - 31.5) < 16), (x - 31.5)**2 + (y - 31.5)**2 < 256]


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def held_out(mvar, tokenizer, folder):
    """The first held-out image of each class; the names of cached tokens say which are held out."""
    run(mvar, "cache", "--data", FOLDER, "--tokenizer", tokenizer, "-o", folder / "tokens")
    for item in json.loads((FOLDER / "index.json").read_text())["classes"]:
        if item["name"] in CLASSES:
            number = min(int(path.stem.split("-")[-1]) for path in (folder / "tokens/val" / item["name"]).iterdir())
            row, column = divmod(number, 32)
            sheet = Image.open(FOLDER / item["file"]).convert("RGB")
            yield item["name"], sheet.crop((64 * column, 64 * row, 64 * column + 64, 64 * row + 64))


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


def main():
    mvar, options = Path(sys.argv[1]).resolve(), sys.argv[2:]
    errors = {threshold: np.zeros((2, 2)) for threshold in THRESHOLDS}  # outside and inside: sum of squares, count
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = options[options.index("--tokenizer") + 1] if "--tokenizer" in options else None
        tokenizer = given or FOLDER / "tokenizer.safetensors"
        for index, (label, image) in enumerate(held_out(mvar, tokenizer, folder)):
            mask = masks()[index % 5]
            image.save(folder / "photo.png")
            Image.fromarray((255 * mask).astype(np.uint8)).save(folder / "mask.png")
            run(mvar, "encode", folder / "photo.png", "--tokenizer", tokenizer, "-o", folder / "photo.npz")
            run(mvar, "decode", folder / "photo.npz", "--tokenizer", tokenizer, "-o", folder / "reconstruction.png")
            original = pixels(folder / "reconstruction.png")
            for threshold in THRESHOLDS:
                drawn = folder / f"{index}-{threshold}"
                run(mvar, "edit", folder / "photo.png", "--mask", folder / "mask.png", "--class", label, "--count", 8,
                    "--mask-threshold", threshold, "-o", folder / "edit.png", "--singles", drawn, *options)
                for path in drawn.iterdir():
                    square = (pixels(path) - original)**2
                    for place, part in enumerate((~mask, mask)):
                        errors[threshold][place] += square[part].sum(), square[part].size
    print("| threshold | " + " | ".join(f"{threshold:g}" for threshold in THRESHOLDS) + " |")
    for place, title in enumerate(("outside the mask", "inside")):
        values = (10 * math.log10(255**2 / (total / count)) for total, count in (e[place] for e in errors.values()))
        print(f"| {title} | " + " | ".join(f"{value:.1f} dB" for value in values) + " |")


if __name__ == "__main__":
    main()
