"""The page's own arithmetic, run by node: random numbers, latents on an arc, and bytes are those of the program."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from sase_gan.colours import filed
from sase_gan.drawing.sampling import MAX_SEED
from sase_gan.drawing.walks import spherical_interpolation
from sase_gan.exporting.web import PAGE
from sase_gan.networks.conditioning import class_rows, own_class
from sase_gan.pixels import to_uint8
from sase_gan.seeds import derive_seed, generator

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed, which runs the page's JavaScript here")


def computed(program: str, tmp_path: Path, given: Any) -> Any:
    """Run a program that has `given` and the page's modules, and read what it prints as JSON."""
    for file in PAGE.glob("*.js"):
        shutil.copy(file, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "run.js").write_text(
        'import { readFileSync } from "node:fs";\n'
        'import { Normal, derivedSeed, ownClass, sha256 } from "./seeds.js";\n'
        'import { between, weightsOf } from "./inputs.js";\n'
        'import { filed, toBytes } from "./drawing.js";\n'
        'const given = JSON.parse(readFileSync("given.json"));\n'
        f"console.log(JSON.stringify({program}));\n"
    )
    (tmp_path / "given.json").write_text(json.dumps(given))
    done = subprocess.run([NODE, "run.js"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_known_hash(tmp_path):
    # FIPS 180-4's own example, and a text of two blocks.
    texts = ["abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"]
    words = computed("given.map((text) => Array.from(sha256(text)))", tmp_path, texts)
    assert [f"{word:08x}" for word in words[0]][:2] == ["ba7816bf", "8f01cfea"]
    assert [f"{word:08x}" for word in words[1]][:2] == ["248d6a61", "d20638b8"]


def test_seeds_give_the_numbers_of_torch(tmp_path):
    # Whole blocks of 16, and with a rest; fewer than 16 go another way, of which every second number is kept.
    cases = [(0, "latent", [128]), (17, "noise", [64, 64, 1024]), (MAX_SEED, "latent", [256])]
    cases += [(5, "noise", [4, 15, 16, 17, 3, 130, 1000, 1, 1]), (123456, "noise", [1, 2, 3])]
    program = "given.map(([seed, of, counts]) => { const source = new Normal(seed, of); "
    program += "return [derivedSeed(seed, of), counts.map((count) => Array.from(source.draw(count)))]; })"
    for (seed, purpose, counts), (derived, drawn) in zip(cases, computed(program, tmp_path, cases), strict=True):
        assert derived == derive_seed(seed, purpose) % 2**32
        source = generator(seed, purpose)
        for count, values in zip(counts, drawn, strict=True):
            # Torch's vector code rounds logarithms and cosines a little otherwise on other processors.
            assert torch.allclose(torch.tensor(values), torch.randn(count, generator=source), rtol=0, atol=5e-6)


def test_a_seed_has_the_class_that_it_has_in_the_program(tmp_path):
    cases = [([96, 70], seed) for seed in range(40)] + [([1, 1, 998], 7), ([3, 10**6, 10**7, 5], MAX_SEED)]
    found = computed("given.map(([counts, seed]) => ownClass(counts, seed))", tmp_path, cases)
    assert found == [own_class(counts, seed) for counts, seed in cases]
    assert len(set(found[:40])) == 2
    model = {"classes": ["cats", "dogs"], "class_counts": [96, 70]}
    program = "[null, [['dogs', 100]], [['cats', 30], ['dogs', 70]]].map((mixture) => "
    program += "Array.from(weightsOf(given, 0, mixture)))"
    own, dogs, mixed = computed(program, tmp_path, model)
    assert own[own_class((96, 70), 0)] == 1
    assert dogs == [0, 1]
    assert torch.equal(torch.tensor(mixed), class_rows(("cats", "dogs"), (("cats", 30), ("dogs", 70))))


def test_the_way_from_latent_to_latent(tmp_path):
    a, b = (torch.randn(20, generator=generator(seed, "way")) for seed in (0, 1))
    pairs = [(a, b, share) for share in (0.0, 0.25, 0.9, 1.0)] + [(a, 2 * a, 0.5)]
    given = [[one.tolist(), other.tolist(), share] for one, other, share in pairs]
    program = "given.map(([a, b, share]) => Array.from(between(Float32Array.from(a), Float32Array.from(b), share)))"
    for (one, other, share), found in zip(pairs, computed(program, tmp_path, given), strict=True):
        expected = other if share == 1 else spherical_interpolation(one, other, share)
        assert torch.allclose(torch.tensor(found), expected, rtol=0, atol=2e-6)


def test_values_become_bytes_as_in_files(tmp_path):
    values = torch.cat([torch.linspace(-1.1, 1.1, 4_001), (torch.arange(256) - 128) / 127.5])
    values = values[: len(values) // 4 * 4]
    pictures = values.reshape(4, 1, -1)
    program = "[1, 4].map((channels) => Array.from(filed(toBytes(Float32Array.from(given), channels, "
    program += "given.length / channels), channels)))"
    grey, transparent = computed(program, tmp_path, values.tolist())
    assert grey == to_uint8(values).tolist()
    assert torch.equal(torch.tensor(transparent).view(-1, 4).T, filed(to_uint8(pictures))[:, 0].long())
