// SPDX-License-Identifier: Apache-2.0
package distilbert.mobile.answerer;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import distilbert.mobile.core.ErrorKind;
import distilbert.mobile.core.ModelException;
import distilbert.mobile.core.spans.Answer;
import distilbert.mobile.core.spans.AnswerOptions;
import distilbert.mobile.core.spans.Passage;
import java.io.File;
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

    private static void ask(QuestionAnswerer answerer) {
        if (!answerer.selfTest().isPassed()) return;
        Answer answer = answerer.answer("passage", "question");
        Passage passage = new Passage("passage");
        AnswerOptions options = new AnswerOptions(null, 3);
        Answer again = answerer.answer(passage, "question", options, () -> false);
        assertEquals(answer.getText(), again.getCandidates().get(0).getText());
    }
}
