# SPDX-License-Identifier: Apache-2.0
"""The page of the hub folder that tries the model in a browser: one file, written by a build.

A task has a page if it names a folder with `index.html.j2`, `style.css`, `reader.mjs` (the task's
rules, without a page), `sealed.mjs` (the check of files) and `app.mjs` (the page). All of it goes
into one `index.html`, which works from any static server. Its content security policy allows the
scripts of this file by their hashes, the two libraries by their addresses, and nothing else; the
import map makes the browser check the libraries' content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

from converters.precisions import ONNX_HUB_DTYPES
from pipeline.tasks.task import Task

PAGE = "index.html"
HOST: Final = "cdn.jsdelivr.net"

# Where a static Space's large files come from: it answers with the address of the Hub's storage.
STORAGE: Final = ("https://huggingface.co", "https://*.huggingface.co", "https://*.hf.co")

# Precision -> what the page calls its file; the first of those that a build has is the default.
CHOICES: Final[Mapping[str, str]] = {
    "int8": "8-bit weights",
    "fp16": "16-bit weights",
    "fp32": "32-bit weights",
}


@dataclass(frozen=True)
class Library:
    """A package of the npm registry, of which the page loads one file.

    Attributes:
        name: as people write it.
        package: in the registry.
        version: the only one that the page loads.
        path: of the file in the package.
        integrity: sha384 of the file, as the Subresource Integrity standard writes it.
    """

    name: str
    package: str
    version: str
    path: str
    integrity: str

    @property
    def url(self) -> str:
        """Where the page loads the file from."""
        return f"https://{HOST}/npm/{self.package}@{self.version}/{self.path}"


TRANSFORMERS_JS: Final = Library(
    "transformers.js",
    "@huggingface/transformers",
    "4.3.2",
    "dist/transformers.web.min.js",
    "sha384-6i8i6zdOxHY7p3SVZB9OM5JcsTqDG1PkYY9//uJ3KtgeIul4fSIoZYsQPwaUR93q",
)
# The build for CPUs: half the size of the one for WebGPU, which transformers.js loads otherwise.
ONNX_RUNTIME: Final = Library(
    "ONNX Runtime",
    "onnxruntime-web",
    "1.31.0-dev.20260914-8d85527a0",
    "dist/ort.wasm.bundle.min.mjs",
    "sha384-rb+zD6nKrYqdffKZxEFA2qD+Aq+gDcqQOJ7VEOAWUCsrlpRf6VALFrRzLPo/dt5J",
)
WEB_ASSEMBLY: Final = Library(
    "ONNX Runtime",
    "onnxruntime-web",
    ONNX_RUNTIME.version,
    "dist/ort-wasm-simd-threaded.wasm",
    "sha384-LrOPe1yNsLVzhsriuQfxO06RWx/XakR0S8uiOMx7HVJP6N/IEaR1EAgJMFeTanif",
)
WEB_ASSEMBLY_BYTES: Final = 14_264_838

# What transformers.js imports, and what the page gives it.
IMPORTS: Final[Mapping[str, Library]] = {
    "@huggingface/transformers": TRANSFORMERS_JS,
    "onnxruntime-web/webgpu": ONNX_RUNTIME,
    "onnxruntime-common": ONNX_RUNTIME,
}


@dataclass(frozen=True)
class HubFile:
    """A file that the page offers.

    Attributes:
        name: in the folder `onnx`.
        bytes: its size.
        sha256: its checksum, which the page compares before the runtime opens the file.
    """

    name: str
    bytes: int
    sha256: str


def page(task: Task, title: str, files: Mapping[str, HubFile]) -> str | None:
    """The text of `index.html`.

    Args:
        task: of the model.
        title: what the page is called.
        files: by precision, in the Hub's form.

    Returns:
        The page; None where the task has none, or where there is no file to run.
    """
    offered = [precision for precision in CHOICES if precision in files]
    if task.page is None or not offered:
        return None
    style = (task.page / "style.css").read_text(encoding="utf-8")
    script = _bundled(task.page)
    modules = {library.url: library.integrity for library in IMPORTS.values()}
    import_map = _json(
        {
            "imports": {name: library.url for name, library in IMPORTS.items()},
            "integrity": modules,
        }
    )
    settings = _json(
        {
            "files": [
                {
                    "dtype": ONNX_HUB_DTYPES[precision],
                    "label": CHOICES[precision],
                    **asdict(files[precision]),
                }
                for precision in offered
            ],
            "runtime": {
                "url": WEB_ASSEMBLY.url,
                "integrity": WEB_ASSEMBLY.integrity,
                "bytes": WEB_ASSEMBLY_BYTES,
            },
        }
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(task.page),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{PAGE}.j2").render(
        policy=_policy(scripts=(import_map, script), styles=(style,), modules=list(modules)),
        title=title,
        style=_inline(style, "style"),
        script=_inline(script, "script"),
        import_map=_inline(import_map, "script"),
        settings=_inline(settings, "script"),
        libraries=(TRANSFORMERS_JS, ONNX_RUNTIME),
        host=HOST,
    )


def _bundled(folder: Path) -> str:
    """The modules as one: the imports between them are not needed there."""
    parts = [(folder / name).read_text(encoding="utf-8") for name in ("reader.mjs", "sealed.mjs")]
    app = (folder / "app.mjs").read_text(encoding="utf-8")
    imports = re.compile(r'^import .* from "\./(?:reader|sealed)\.mjs";\n', re.MULTILINE)
    assert len(imports.findall(app)) == len(parts)
    exports = re.compile(r"^export (?=(?:class|function|const) )", re.MULTILINE)
    # Imports come first in a module by custom, not by rule: the others may stand before them.
    return f"\n{exports.sub('', ''.join(parts))}\n{imports.sub('', app)}"


def _policy(*, scripts: Sequence[str], styles: Sequence[str], modules: Sequence[str]) -> str:
    """The content security policy: nothing but what the page is made of.

    Args:
        scripts: text of each inline script.
        styles: text of each inline style sheet.
        modules: addresses of the libraries' modules.
    """
    rules = {
        "default-src": ["'none'"],
        "script-src": [*map(_hash, scripts), *modules, "'wasm-unsafe-eval'"],
        "style-src": [*map(_hash, styles)],
        "connect-src": ["'self'", WEB_ASSEMBLY.url, *STORAGE],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in rules.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _json(value: object) -> str:
    """JSON that no `</script>` and no comment can end or begin in."""
    return json.dumps(value, indent=1).replace("<", "\\u003c")


def _inline(text: str, element: str) -> Markup:
    """Text of an element that holds raw text, which nothing in it may end."""
    assert f"</{element}" not in text.lower() and "<!--" not in text
    return Markup(text)  # noqa: S704 - of this project, checked above
