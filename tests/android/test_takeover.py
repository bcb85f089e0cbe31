# SPDX-License-Identifier: Apache-2.0
"""What an app gets from `make android-library`: programs in Java that see the libraries alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "android_demo" / "apk"))

import build_library

from pipeline import __version__

NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"
MAVEN = Path.home() / ".m2" / "repository"

# The golden questions of one window, with the logits that the build computed.
CORE = """
import distilbert.mobile.core.WordPieceTokenizer;
import distilbert.mobile.core.spans.*;
import java.nio.file.*;
import java.util.List;

class Core {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        SpanDescription description =
            SpanDescription.parse(Files.readString(folder.resolve("model.json")));
        byte[] vocabulary = Files.readAllBytes(folder.resolve("vocab.txt"));
        WordPieceTokenizer tokenizer =
            WordPieceTokenizer.read(description.getTokenizer(), vocabulary);
        int asked = 0, right = 0;
        String golden = Files.readString(folder.resolve("golden.json"));
        for (GoldenCase one : GoldenCase.parse(golden)) {
            if (one.getWindowCount() != 1) continue;
            GoldenAnswer expected = one.getAnswers().get(description.getDefault());
            Logits logits = expected.getLogits();
            Answerer answerer =
                new Answerer(
                    description,
                    tokenizer,
                    (ids, mask, segmentIds) -> List.of(logits.getStart(), logits.getEnd()));
            Answer answer =
                answerer.answer(
                    new Passage(one.getPassage()),
                    one.getQuestion(),
                    new AnswerOptions(),
                    () -> false);
            asked++;
            if (answer.getText().equals(expected.getText())) right++;
        }
        System.out.println(asked + " asked, " + right + " right");
    }
}
"""

# Compiled only: it needs a phone.
ANDROID = """
import android.content.Context;
import com.google.ai.edge.litert.Accelerator;
import distilbert.mobile.accelerated.CompiledEngine;
import distilbert.mobile.answerer.*;
import distilbert.mobile.core.ModelException;
import distilbert.mobile.core.spans.Answer;
import java.util.Set;

class OnAndroid {
    static String ask(Context context, String passage, String question) {
        try (QuestionAnswerer answerer = QuestionAnswerer.firstRightFromAssets(context)) {
            Answer answer = answerer.answer(passage, question);
            return answer.isAnswer() ? answer.getText() : null;
        } catch (ModelException error) {
            return error.getKind() + ": " + error.getMessage();
        }
    }

    static QuestionAnswerer onGpu(Context context) {
        Engine engine = new CompiledEngine(Set.of(Accelerator.GPU));
        return QuestionAnswerer.fromAssets(context, "model", null, 4, true, engine);
    }
}
"""


def needed(pom: Path) -> list[Path]:
    """The jars on Maven Central that a library's POM names."""
    found = ET.parse(pom).getroot().iter(f"{NAMESPACE}dependency")
    named = [[str(child.text) for child in dependency][:3] for dependency in found]
    return [
        MAVEN / Path(*group.split(".")) / artifact / version / f"{artifact}-{version}.jar"
        for group, artifact, version in named
        if group.startswith("org.jetbrains")
    ]


def compiled(source: str, name: str, folder: Path, classpath: list[Path]) -> None:
    """Compile a class into a folder."""
    (folder / f"{name}.java").write_text(source, encoding="utf-8")
    command: list[str | Path] = ["javac", "-Xlint:all", "-d", folder, folder / f"{name}.java"]
    command += ["-cp", ":".join(map(str, classpath))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_programs_are_compiled_and_run_with_the_libraries_alone(tmp_path: Path) -> None:
    if not shutil.which("mvn") or not shutil.which("javac"):
        pytest.skip("apt-get install default-jdk-headless maven")
    (android,) = (MAVEN / "org/robolectric/android-all").glob("15-*/android-all-15-*.jar")
    written = build_library.build(tmp_path / "library", [])
    libraries = {path.parent.parent.name: path for path in written}
    core = libraries["core"]
    classpath = [core, *needed(core.with_suffix(".pom"))]
    compiled(CORE, "Core", tmp_path, classpath)
    run = ["java", "-cp", ":".join(map(str, [tmp_path, *classpath])), "Core"]
    folder = ROOT / "tests" / "contract" / "tiny"
    done = subprocess.run([*run, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked, right = (int(word) for word in done.stdout.split() if word.isdigit())
    assert asked >= 3 and asked == right
    for name in ("answerer", "accelerated"):
        with zipfile.ZipFile(libraries[name]) as archive:
            classes = tmp_path / f"{name}.jar"
            classes.write_bytes(archive.read("classes.jar"))
        classpath.append(classes)
        assert libraries[name].parent.name == __version__
    # In place of LiteRT 2, which only Google's repository has.
    stubs = ROOT / "android_demo" / "maven" / "litert-stubs" / "target" / "classes"
    compiled(ANDROID, "OnAndroid", tmp_path, [*classpath, stubs, android])
