// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import distilbert.mobile.core.ErrorKind;
import distilbert.mobile.core.ModelDescription;
import distilbert.mobile.core.ModelException;
import distilbert.mobile.core.ModelFile;
import distilbert.mobile.core.Predictor;
import distilbert.mobile.core.spans.Answer;
import distilbert.mobile.core.spans.AnswerOptions;
import distilbert.mobile.core.spans.Passage;
import distilbert.mobile.testing.Builds;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.Test;

/** How the library looks from Java: static methods without a companion, an exception to catch. */
public class JavaCallerTest {
    @Test
    public void theExceptionCanBeCaught() {
        try (QuestionAnswerer answerer = QuestionAnswerer.fromFolder(new File("no such folder"))) {
            ask(answerer);
            fail("there is no such folder");
        } catch (ModelException error) {
            assertEquals(ErrorKind.MISSING, error.getKind());
        }
        try (TextClassifier classifier = TextClassifier.fromFolder(new File("no such folder"))) {
            fail(classifier.classify("a text").getLabel());
        } catch (ModelException error) {
            assertTrue(error.getMessage().contains("is missing"));
        }
    }

    /** Interfaces of the library as a caller in Java implements them. */
    @Test
    public void aRuntimeOfTheAppCanBeOpenedSeveralTimes() {
        Predictor predictor = (ids, mask, segmentIds) -> List.of(new float[ids.length]);
        assertEquals(1, predictor.getAtOnce());
        List<Integer> threads = new ArrayList<>();
        Engine own =
            source -> {
                threads.add(source.getThreads());
                return new OwnModel();
            };
        assertEquals(1, own.open(source(4)).getAtOnce());
        EngineModel two = Engine.parallel(2, own).open(source(4));
        assertEquals(2, two.getAtOnce());
        assertEquals("Own 1", two.getRuntime());
        assertEquals(List.of(4, 2, 2), threads);
        assertSame(Engine.INTERPRETER, Engine.parallel(1));
        assertNotSame(Engine.INTERPRETER, Engine.parallel(2));
    }

    private static EngineSource source(int threads) {
        String document = Builds.INSTANCE.getTiny() + "/model.json";
        ModelDescription description;
        try {
            description = ModelDescription.parse(Files.readString(Path.of(document)));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        ModelFile file = description.getFiles().values().iterator().next();
        return new EngineSource(
                ByteBuffer.allocate(0), null, "file", file, description, threads);
    }

    private static final class OwnModel implements EngineModel {
        @Override
        public List<float[]> run(int[] ids, int[] mask, int[] segmentIds) {
            return List.of(new float[ids.length]);
        }

        @Override
        public String getRuntime() {
            return "Own 1";
        }

        @Override
        public String getRemedy() {
            return "take another";
        }

        @Override
        public void close() {}
    }

    private static void ask(QuestionAnswerer answerer) {
        if (!answerer.selfTest().isPassed()) return;
        Answer answer = answerer.answer("passage", "question");
        Passage passage = new Passage("passage");
        AnswerOptions options = new AnswerOptions(null, 3);
        Answer again = answerer.answer(passage, "question", options, () -> false);
        assertEquals(answer.getText(), again.getCandidates().get(0).getText());
    }
}
