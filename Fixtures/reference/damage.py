"""Damaged images and what Pillow makes of them: `python3 damage.py ../damaged` writes the sound base images and
table.json, which lists for each damaged one the edits [offset, bytes removed, bytes inserted] of a base image, and
Pillow's result of Image.open(path).convert("RGB"): size and start of the pixels' SHA-256, or "refused". The rows of
"turned" are images with an orientation, and the result after ImageOps.exif_transpose."""
import hashlib
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, __version__

rng = np.random.default_rng(7)


def smooth(channels, width=29, height=21):
    coarse = rng.integers(0, 256, (7, 9, channels), dtype=np.uint8)
    image = Image.fromarray(coarse[..., 0] if channels == 1 else coarse)
    return image.resize((width, height), Image.BICUBIC)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, color, interlaced=False, before=b"", portion=90):
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for left, top, right, down in passes if interlaced else [(0, 0, 1, 1)]:
        count = max((width - left + right - 1) // right, 0)
        for row in range(top, height if count else 0, down):
            length = (count * bits + 7) // 8
            rows += bytes([row % 5]) + np.clip(rng.normal(9, 3, length), 0, 255).astype(np.uint8).tobytes()
    packed = zlib.compress(rows, 9)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    parts = [chunk(b"IDAT", packed[i : i + portion]) for i in range(0, len(packed), portion)]
    text = chunk(b"tEXt", b"Title\0words")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + b"".join(parts) + text + chunk(b"IEND", b"")


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def chunks(data):
    """(name, offset, length of the data) of each chunk"""
    place = 8
    while place + 12 <= len(data):
        length = struct.unpack(">I", data[place : place + 4])[0]
        yield data[place + 4 : place + 8].decode(), place, length
        place += 12 + length


def checksum(data, place, edit):
    """The edit of a byte of the chunk at a place, and that of its checksum."""
    length = struct.unpack(">I", data[place : place + 4])[0]
    offset, removed, inserted = edit
    changed = data[:offset] + inserted + data[offset + removed :]
    end = place + 8 + length
    return [edit, (end, 4, struct.pack(">I", zlib.crc32(changed[place + 4 : end])))]


def png_cases(data):
    found = list(chunks(data))
    first = {name: (place, length) for name, place, length in reversed(found)}
    pixels, length = first["IDAT"]
    last_pixels = [place for name, place, _ in found if name == "IDAT"][-1]
    last_length = [n for name, _, n in found if name == "IDAT"][-1]
    text, text_length = first["tEXt"]
    end = first["IEND"][0]
    yield "nothing", []
    yield "without IEND", [(end, 12, b"")]
    for count in (4, 8, 11):
        yield f"the last {count} bytes are missing", [(len(data) - count, count, b"")]
    yield "cut within the text", [(text + 14, len(data), b"")]
    yield "cut after the pixels", [(text, len(data), b"")]
    yield "cut within the pixels' checksum", [(text - 2, len(data), b"")]
    for count in (1, 3, 4, 5, 9):
        yield f"{count} bytes of the pixels are missing at the end", [(text - 4 - count, len(data), b"")]
    yield "wrong checksum of the header", [(29, 1, bytes([data[29] ^ 1]))]
    yield "wrong checksum of the pixels", [(pixels + 8 + length, 1, b"\x5a")]
    yield "wrong checksum of the text", [(text + 8 + text_length, 1, b"\x5a")]
    yield "wrong checksum of IEND", [(len(data) - 1, 1, b"\x5a")]
    yield "a bit of the pixels", [(pixels + 8 + length // 2, 1, bytes([data[pixels + 8 + length // 2] ^ 4]))]
    yield "a bit of zlib's checksum", [(last_pixels + 8 + last_length - 1, 1, b"\x5a")]
    yield "zlib's method", checksum(data, pixels, (pixels + 8, 1, b"\x79"))
    yield "no pixels", [(pixels, text - pixels, b"")]
    yield "an empty part of the pixels first", [(pixels, 0, chunk(b"IDAT", b""))]
    yield "text between the parts of the pixels", [(pixels + 12 + length, 0, chunk(b"tEXt", b"a\0b"))]
    yield "text and header exchanged", [(text, 12 + text_length, b""), (8, 0, data[text : text + 12 + text_length])]
    yield "an unknown critical chunk", [(33, 0, chunk(b"ABCD", b"1"))]
    yield "a chunk with a name of digits", [(33, 0, chunk(b"1234", b"1"))]
    yield "a chunk without a name", [(33, 0, chunk(b"\0\1\2\3", b"1"))]
    yield "a short gAMA", [(33, 0, chunk(b"gAMA", b"1"))]
    yield "a short pHYs at the end", [(text, 0, chunk(b"pHYs", b"1"))]
    yield "a header of 14 bytes", [(8, 25, chunk(b"IHDR", data[16:29] + b"\0"))]
    yield "a second header", [(33, 0, data[8:33])]
    yield "filter method 1", checksum(data, 8, (27, 1, b"\1"))
    yield "compression method 1", checksum(data, 8, (26, 1, b"\1"))
    yield "interlace method 2", checksum(data, 8, (28, 1, b"\2"))
    yield "a row more", checksum(data, 8, (23, 1, bytes([data[23] + 1])))
    yield "a row less", checksum(data, 8, (23, 1, bytes([data[23] - 1])))
    yield "no rows", checksum(data, 8, (23, 1, b"\0"))
    yield "a column more", checksum(data, 8, (19, 1, bytes([data[19] + 1])))
    yield "color type 5", checksum(data, 8, (25, 1, b"\5"))
    yield "bytes after IEND", [(len(data), 0, b"more")]
    yield "a byte between chunks", [(33, 0, b"\0")]
    if "PLTE" in first:
        place, count = first["PLTE"]
        yield "without a palette", [(place, 12 + count, b"")]
        yield "a text that is too long", [(33, 0, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1100000), 9)))]
        yield "a short palette", [(place, 12 + count, chunk(b"PLTE", data[place + 8 : place + 15]))]


def jpeg_cases(data):
    scan = data.index(b"\xff\xda")
    start = scan + 2 + struct.unpack(">H", data[scan + 2 : scan + 4])[0]
    frame = next(i for i in range(2, scan) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    size = len(data)
    yield "nothing", []
    for count in [1, 2, 3, 4, 5, 6, 8, 10, 12, 30]:
        yield f"the last {count} bytes are missing", [(size - count, count, b"")]
    yield "cut after the first scan's header", [(start, size, b"")]
    yield "cut before the scan", [(scan, size, b"")]
    yield "stray bytes before the scan", [(scan, 0, b"\1\2\3")]
    yield "FF 00 before the scan", [(scan, 0, b"\xff\0")]
    yield "fill bytes before the scan", [(scan, 0, b"\xff\xff\xff")]
    yield "stray bytes before the end", [(size - 2, 0, b"\1\2\3")]
    yield "bytes after the end", [(size, 0, b"\1\2\3")]
    for name, marker in [("restart", 0xD3), ("end", 0xD9), ("frame", 0xC0), ("comment", 0xFE), ("unknown", 0x41)]:
        if name != "end" or data[frame + 1] == 0xC0:
            yield f"a {name} marker within the pixels", [(start + (size - start) * 2 // 3, 0, bytes([0xFF, marker]))]
        yield f"a {name} marker before the scan", [(scan, 0, bytes([0xFF, marker]))]
    for place in (5, 40, 90):
        at = start + place
        if at < size - 4 and 0xFF not in data[at - 1 : at + 2]:
            yield f"byte {place} of the pixels is 0", [(at, 1, b"\0")]
            yield f"byte {place} of the pixels is missing", [(at, 1, b"")]
    yield "16 bytes of the pixels twice", [(start + 30, 0, data[start + 30 : start + 46].replace(b"\xff", b"\0"))]
    yield "a second frame", [(scan, 0, data[frame : frame + 2 + struct.unpack(">H", data[frame + 2 : frame + 4])[0]])]
    yield "12 bits", [(frame + 4, 1, b"\x0c")]
    yield "no columns", [(frame + 7, 2, b"\0\0")]
    yield "more rows", [(frame + 6, 1, bytes([data[frame + 6] + 30]))]
    yield "fewer rows", [(frame + 6, 1, bytes([data[frame + 6] - 9]))]
    yield "another count of components", [(frame + 9, 1, b"\2")]
    tables = data.index(b"\xff\xdb")
    yield "a short table of quantization", [(tables + 2, 2, b"\0\x42"), (tables + 68, 1, b"")]
    yield "without tables of quantization", [(tables, 69, b"")]
    yield "a short JFIF segment", [(2, 18, b"\xff\xe0\0\6JFIF")]
    yield "a segment beyond the end", [(2, 0, b"\xff\xe5\xff\xff")]
    yield "no start", [(0, 2, b"")]
    codes = data.index(b"\xff\xc4")
    yield "a wrong count of codes", [(codes + 6, 1, bytes([data[codes + 6] + 3]))]


def oriented(data, orientation):
    """Metadata with the orientation: little-endian in a PNG file, big-endian in a JPEG file."""
    order, place = ("<", 33) if data[:1] == b"\x89" else (">", 2)
    entries = struct.pack(order + "HHHIHHHHIHH", 2, 0x010F, 2, 4, 0x6261, 0x0063, 0x0112, 3, 1, orientation, 0)
    tiff = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8) + entries + bytes(4)
    if order == "<":
        return place, 0, chunk(b"eXIf", tiff)
    return place, 0, b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def edited(data, edits):
    for offset, removed, inserted in sorted(edits, key=lambda edit: -edit[0]):
        data = data[:offset] + inserted + data[offset + removed :]
    return data


def verdict(data, turned=False):
    try:
        image = Image.open(io.BytesIO(data))
        image = (ImageOps.exif_transpose(image) if turned else image).convert("RGB")
    except Exception:
        return "refused"
    return "%d x %d %s" % (*image.size, hashlib.sha256(image.tobytes()).hexdigest()[:12])


def main(folder):
    folder.mkdir(exist_ok=True)
    palette = chunk(b"PLTE", bytes(range(100, 148)))
    color, gray = smooth(3), smooth(1)
    bases = {
        "color.png": png(11, 9, 8, 2),
        "palette.png": png(13, 7, 4, 3, before=palette),
        "deep.png": png(5, 6, 16, 6, interlaced=True),
        "color.jpg": jpeg(color, quality=75, optimize=True),
        "restarts.jpg": jpeg(color, quality=60, subsampling=0, optimize=True, restart_marker_blocks=3),
        "progressive.jpg": jpeg(color, quality=60, progressive=True),
        "gray.jpg": jpeg(gray, quality=75, optimize=True),
    }
    table = {}
    for name, data in bases.items():
        (folder / name).write_bytes(data)
        lines = []
        for what, edits in (png_cases if name.endswith("png") else jpeg_cases)(data):
            edits = [(offset, min(removed, len(data) - offset), inserted) for offset, removed, inserted in edits]
            row = [[[o, r, i.hex()] for o, r, i in edits], verdict(edited(data, edits))]
            lines.append("%s:%s" % (json.dumps(what), json.dumps(row, separators=(",", ":"))))
        table[name] = ",\n".join(lines)
    files = ",\n".join('"%s":{\n%s}' % entry for entry in table.items())
    turns = []
    for name in ("color.jpg", "color.png"):
        for orientation in range(10):
            edit = oriented(bases[name], orientation)
            result = verdict(edited(bases[name], [edit]), turned=True)
            turns.append(json.dumps([name, orientation, [edit[0], edit[1], edit[2].hex()], result], separators=(",", ":")))
    text = '{"pillow":"%s","files":{\n%s},"turned":[\n%s]}\n' % (__version__, files, ",\n".join(turns))
    (folder / "table.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
